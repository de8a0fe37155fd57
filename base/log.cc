#include "base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "base/line_writer.h"

namespace cw {

namespace {

bool json_lines = false;  // set once, before threads start

constexpr std::size_t kMostBytes = std::size_t{1} << 20U;  // queued lines; more are dropped

// Never destroyed, because threads of libraries may log while the process ends.
LineWriter& writer() {
  static auto* const kToStderr = [] {
    auto* made = new LineWriter(STDERR_FILENO, kMostBytes);
    (void)std::atexit([] { (void)flush_log(); });
    return made;
  }();
  return *kToStderr;
}

// Formats on the thread that logs. LineWriter's thread writes.
class Sink final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer().write({line.data(), line.size()});
  }
  void flush_() override {}
};

spdlog::logger& logger() {
  static auto* const kLogger = [] {
    auto* made = new spdlog::logger("cw", std::make_shared<Sink>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
    return made;
  }();
  return *kLogger;
}

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

// Escapes control characters, so that untrusted text cannot forge a second line or field.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

bool plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  });
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warn") return LogLevel::kWarn;
  if (text == "error") return LogLevel::kError;
  return fail(Errc::kInvalid,
              fmt::format("\"{}\" is not a log level; write debug, info, warn or error", text));
}

void set_up_logging(LogLevel level, bool json) {
  json_lines = json;
  logger().set_level(level_of(level));
  if (json) {
    logger().set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
  }
}

bool flush_log() { return writer().flush(std::chrono::seconds(1)); }

std::uint64_t log_lines_dropped() { return writer().dropped(); }

void log_event(LogLevel level, std::string_view event, LogFields fields) {
  const auto spd_level = level_of(level);
  if (!logger().should_log(spd_level)) return;
  std::string line;
  if (json_lines) {
    line = fmt::format(R"("event":"{}")", escaped(event));
    for (const auto& field : fields) {
      line += fmt::format(R"(,"{}":"{}")", escaped(field.key), escaped(field.value));
    }
  } else {
    line = event;
    for (const auto& field : fields) {
      line += plain(field.value) ? fmt::format(" {}={}", field.key, field.value)
                                 : fmt::format(" {}=\"{}\"", field.key, escaped(field.value));
    }
  }
  logger().log(spd_level, "{}", line);
}

}  // namespace cw
