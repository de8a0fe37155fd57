// Configuration files in YAML. Every problem is reported as "file:line: key: what is wrong",
// including unknown keys and duplicate keys. Read a mapping key by key, then call finish():
//   ConfigMap map = *ConfigMap::load(path);
//   map.read("probeInterval", config.probe_interval);   // optional: keeps its default
//   map.require("cluster", config.cluster);
//   if (auto ok = map.finish(); !ok) return fail(ok.error());
// The first problem is kept. Reads after it change nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/contact.h"
#include "base/error.h"
#include "base/prefix.h"

namespace cw {

class ConfigMap {
 public:
  // Messages call the text `name`. kTooLarge: more than 1 MiB. kInvalid: not a YAML mapping.
  [[nodiscard]] static Result<ConfigMap> parse(std::string_view text, const std::string& name);
  // Replaces each ${NAME} by that environment variable, then parses. kInvalid: NAME is not set.
  [[nodiscard]] static Result<ConfigMap> load(const std::string& path);

  // Keys are optional: a value whose key is absent stays as it is. T: std::string, bool,
  // std::uint16_t, std::uint32_t, std::chrono::nanoseconds ("150ms", "5s", "2m", "1h"), Endpoint,
  // or a vector of std::string, Prefix, Endpoint or Contact.
  template <typename T>
  void read(std::string_view key, T& value);
  template <typename T>
  void read(std::string_view key, std::vector<T>& value);
  template <typename T>
  void require(std::string_view key, T& value) {
    if (!has(key)) return missing(key);
    read(key, value);
  }
  // A value from `least` to `most`, both included. T: a number or nanoseconds.
  template <typename T>
  void read_within(std::string_view key, T& value, T least, T most) {
    read(key, value);
    if (value < least || value > most) problem(key, "want " + range_text(least, most));
  }
  // One of `choices`.
  void read_choice(std::string_view key, std::string& value,
                   const std::vector<std::string>& choices);
  // An absolute path. An empty one is refused only if the key is there.
  void read_path(std::string_view key, std::string& value);
  // A list of at most `most` items.
  template <typename T>
  void read_up_to(std::string_view key, std::vector<T>& value, std::size_t most) {
    read(key, value);
    if (value.size() > most) problem(key, "want at most " + std::to_string(most) + " entries");
  }
  // A nested mapping, which `use` reads. Unknown keys inside it are problems too.
  void read_map(std::string_view key, const std::function<void(ConfigMap&)>& use);

  [[nodiscard]] bool has(std::string_view key) const;
  // Reports the problem `what` at the key's line, as if read() had found it.
  void problem(std::string_view key, std::string_view what);
  // The error of the first problem. Call it last: it also finds keys that were never read.
  [[nodiscard]] Result<> finish();

 private:
  struct State;
  explicit ConfigMap(std::shared_ptr<State> state);
  void missing(std::string_view key);
  [[nodiscard]] static std::string range_text(std::uint64_t least, std::uint64_t most);
  [[nodiscard]] static std::string range_text(std::chrono::nanoseconds least,
                                              std::chrono::nanoseconds most);

  std::shared_ptr<State> state_;
};

// "150ms", "5s", "2m", "1h"; no sign, no fractions.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);
// The same form, in the largest unit without a fraction.
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);

}  // namespace cw
