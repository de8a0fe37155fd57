// Logging to standard error: one line per event, the event first, then key=value fields.
//   log_info("peer connected", {{"cluster", "east"}, {"gateway", 0}});
// Text by default, JSON objects with set_up_logging(level, true). Thread-safe. Never blocks: a
// separate thread writes the lines (line_writer.h).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  template <typename T>
  LogField(std::string_view name, const T& v) : key(name), value(fmt::format("{}", v)) {}
  std::string_view key;
  std::string value;
};
using LogFields = std::initializer_list<LogField>;

// Accepts "debug", "info", "warn", "error". kInvalid: anything else.
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);
void set_up_logging(LogLevel level, bool json);
void log_event(LogLevel level, std::string_view event, LogFields fields);
// Waits until all logged lines are written. False: that took longer than 1 s.
bool flush_log();
// Lines that were dropped because the reader of standard error was too slow.
[[nodiscard]] std::uint64_t log_lines_dropped();

inline void log_debug(std::string_view event, LogFields fields = {}) {
  log_event(LogLevel::kDebug, event, fields);
}
inline void log_info(std::string_view event, LogFields fields = {}) {
  log_event(LogLevel::kInfo, event, fields);
}
inline void log_warn(std::string_view event, LogFields fields = {}) {
  log_event(LogLevel::kWarn, event, fields);
}
inline void log_error(std::string_view event, LogFields fields = {}) {
  log_event(LogLevel::kError, event, fields);
}

}  // namespace cw
