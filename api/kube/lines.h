// Cuts a byte stream into lines of at most `limit` bytes each. A watch sends one JSON document per
// line. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::api::kube {

class Lines {
 public:
  explicit Lines(std::size_t limit) : limit_(limit) {}

  // Calls `on_line(std::string_view line)` for each complete line, without its newline. Empty lines
  // are skipped. `take` returns false to stop. kTooLarge: a line is too long, and the stream cannot
  // be used further.
  template <typename OnLine>
  [[nodiscard]] Result<> feed(std::string_view bytes, const OnLine& on_line) {
    while (!bytes.empty()) {
      const auto end = bytes.find('\n');
      const auto part = bytes.substr(0, end);
      if (rest_.size() + part.size() > limit_) {
        rest_.clear();
        return fail(Errc::kTooLarge, "a line of the watch is over the limit");
      }
      if (end == std::string_view::npos) {
        rest_ += part;
        return {};
      }
      bytes.remove_prefix(end + 1);
      if (rest_.empty()) {  // the usual case: no copy
        if (!part.empty() && !on_line(part)) return {};
        continue;
      }
      rest_ += part;
      const auto line = std::exchange(rest_, std::string());
      if (!on_line(std::string_view(line))) return {};
    }
    return {};
  }

 private:
  std::size_t limit_;
  std::string rest_;
};

}  // namespace cw::api::kube
