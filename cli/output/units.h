// Numbers and lists in the form in which people read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/loop.h"

namespace cw::cli {

[[nodiscard]] std::string bytes_text(std::uint64_t bytes);        // "0 B", "1.5 KiB", "3.2 GiB"
[[nodiscard]] std::string age_text(Duration age);                 // "0s", "59s", "3m", "5h", "12d"
[[nodiscard]] std::string since_text(WallTime at, WallTime now);  // the age, or "never" for zero
[[nodiscard]] std::string millis_text(double milliseconds);       // "0.31 ms", "12.4 ms", "230 ms"
[[nodiscard]] std::string percent_text(double share);             // 0..1 -> "0%", "1.6%", "100%"

// Prefixes, addresses and endpoints as texts.
template <typename T>
[[nodiscard]] std::vector<std::string> texts_of(const std::vector<T>& values) {
  std::vector<std::string> texts;
  texts.reserve(values.size());
  for (const auto& value : values) texts.push_back(value.to_string());
  return texts;
}
// The same in one text, with spaces in between.
template <typename T>
[[nodiscard]] std::string joined(const std::vector<T>& values) {
  std::string all;
  for (const auto& text : texts_of(values)) all += (all.empty() ? "" : " ") + text;
  return all;
}

}  // namespace cw::cli
