// Numbers in texts, as std::from_chars reads them: decimal, whatever the locale is.
#pragma once

#include <charconv>
#include <optional>
#include <string_view>

namespace cw {

// The number that the whole of `text` is. Nothing: it is empty, out of T's range, or has another
// character (white space, +; a - for unsigned types). Leading zeros are allowed.
template <typename T>
[[nodiscard]] std::optional<T> number_of(std::string_view text) {
  T value{};
  const auto* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (text.empty() || status != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace cw
