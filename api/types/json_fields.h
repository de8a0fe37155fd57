// Reads one JSON object field by field. Each error has the path of its field. Only for the codecs
// in this folder. The first error is kept. An absent field keeps its default.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

// Limits far above any use, because untrusted input must not make the process grow.
inline constexpr std::size_t kMaxListItems = 20'000;
inline constexpr std::size_t kMaxMapItems = 100'000;
// Kubernetes allows 256 KiB of annotations, and one annotation may use all of it. Other strings are
// smaller.
inline constexpr std::size_t kMaxString = 256 << 10;

class JsonFields {
 public:
  // `json` must outlive the JsonFields. If it is no object, that is an error.
  JsonFields(const nlohmann::json& json, std::string path, std::optional<Error>& problem);

  void read(const char* key, std::string& value);
  void read(const char* key, bool& value);
  void read(const char* key, std::optional<bool>& value);
  void read(const char* key, double& value);
  void read(const char* key, std::int32_t& value);
  void read(const char* key, std::optional<std::int32_t>& value);
  void read(const char* key, std::int64_t& value);
  void read(const char* key, std::uint16_t& value);
  void read(const char* key, std::uint32_t& value);
  void read(const char* key, std::uint64_t& value);
  void read(const char* key, WallTime& value);
  void read(const char* key, IpAddress& value);
  void read(const char* key, std::vector<std::string>& value);
  void read(const char* key, std::vector<Prefix>& value);
  void read(const char* key, std::vector<IpAddress>& value);
  void read(const char* key, std::vector<Endpoint>& value);
  void read(const char* key, std::map<std::string, std::string>& value);
  // A string or a number up to 65535, as text (Kubernetes' IntOrString).
  void read_int_or_string(const char* key, std::string& value);
  // An absent or empty field is an error.
  void require(const char* key, std::string& value);

  // A nested object. `use(JsonFields&)` runs only if it is present.
  template <typename Use>
  void object(const char* key, const Use& use) {
    const auto* child = find(key);
    if (child == nullptr) return;
    JsonFields inner(*child, path_of(key), problem_);
    use(inner);
  }
  // A list of objects. `use(JsonFields&)` returns the item.
  template <typename T, typename Use>
  void list(const char* key, std::vector<T>& value, const Use& use) {
    const auto* child = array(key);
    if (child == nullptr) return;
    value.clear();
    value.reserve(child->size());
    for (std::size_t i = 0; i < child->size() && !problem_; ++i) {
      JsonFields inner((*child)[i], path_of(key) + "[" + std::to_string(i) + "]", problem_);
      value.push_back(use(inner));
    }
  }

  [[nodiscard]] bool has(const char* key) const { return find(key) != nullptr; }
  void wrong(const char* key, std::string_view what);

 private:
  [[nodiscard]] const nlohmann::json* find(const char* key) const;  // null counts as absent
  [[nodiscard]] const nlohmann::json* array(const char* key);
  [[nodiscard]] std::string path_of(const char* key) const;
  template <typename T>
  void read_integer(const char* key, T& value);
  template <typename T, typename Parse>
  void read_texts(const char* key, std::vector<T>& value, const Parse& parse);

  const nlohmann::json& json_;
  std::string path_;
  std::optional<Error>& problem_;
};

// The apiVersion, kind and metadata of an encoded object.
[[nodiscard]] nlohmann::json envelope(Kind kind, const ObjectMeta& meta);
// The metadata of any object. A missing name is an error.
[[nodiscard]] ObjectMeta decode_meta(const nlohmann::json& body, std::optional<Error>& problem);

[[nodiscard]] nlohmann::json to_json(const std::vector<Condition>& conditions);
void read_conditions(JsonFields& status, std::vector<Condition>& conditions);

// A JSON list with the text of each value.
template <typename T>
[[nodiscard]] nlohmann::json texts(const std::vector<T>& values) {
  auto out = nlohmann::json::array();
  for (const auto& value : values) out.push_back(value.to_string());
  return out;
}

// Adds `key` unless the value is empty. Absent and empty mean the same.
template <typename T>
void put_unless_empty(nlohmann::json& json, const char* key, const T& value) {
  if (!value.empty()) json[key] = value;
}

}  // namespace cw::api
