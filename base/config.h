// Configuration files: YAML with "file:line: key: what is wrong" for every mistake, including
// unknown keys and keys that are there twice. Read a mapping key by key, then finish():
//   ConfigMap map = *ConfigMap::load(path);
//   map.read("probeInterval", config.probe_interval);   // optional: keeps its default
//   map.require("cluster", config.cluster);
//   if (auto ok = map.finish(); !ok) return fail(ok.error());
// The first mistake is kept; later reads change nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/prefix.h"

namespace cw {

class ConfigMap {
 public:
  // `name` is what messages call the text. At most 1 MiB.
  [[nodiscard]] static Result<ConfigMap> parse(std::string_view text, const std::string& name);
  [[nodiscard]] static Result<ConfigMap> load(const std::string& path);

  // Optional keys keep the value when absent.
  void read(std::string_view key, std::string& value);
  void read(std::string_view key, bool& value);
  void read(std::string_view key, std::uint16_t& value);
  void read(std::string_view key, std::uint32_t& value);
  void read(std::string_view key, double& value);
  void read(std::string_view key, IpAddress& value);
  void read(std::string_view key, Prefix& value);
  void read(std::string_view key, Endpoint& value);
  void read(std::string_view key, std::vector<std::string>& value);
  void read(std::string_view key, std::vector<Prefix>& value);
  void read(std::string_view key, std::vector<Endpoint>& value);
  // "150ms", "5s", "2m", "1h"
  void read(std::string_view key, std::chrono::nanoseconds& value);
  template <typename T>
  void require(std::string_view key, T& value) {
    if (!has(key)) return missing(key);
    read(key, value);
  }
  // A nested mapping; `use` reads it. Unknown keys inside are mistakes too.
  void read_map(std::string_view key, const std::function<void(ConfigMap&)>& use);
  // A sequence of mappings.
  void read_list(std::string_view key, const std::function<void(ConfigMap&)>& use);

  [[nodiscard]] bool has(std::string_view key) const;
  // Reports `what` at the key's line, as if read() had found it.
  void mistake(std::string_view key, std::string_view what);
  // The first mistake, or an unknown key, or nothing.
  [[nodiscard]] Result<> finish();

 private:
  struct State;
  explicit ConfigMap(std::shared_ptr<State> state);
  void missing(std::string_view key);
  template <typename T, typename Parse>
  void read_scalar(std::string_view key, T& value, const Parse& parse);
  template <typename T, typename Parse>
  void read_scalars(std::string_view key, std::vector<T>& value, const Parse& parse);

  std::shared_ptr<State> state_;
};

// "150ms", "5s", "2m", "1h"; no sign, no fractions.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace cw
