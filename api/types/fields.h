// Reading one JSON object field by field with the path of the field in every mistake. Private to
// the codecs beside it. The first mistake is kept; what is absent keeps its default.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

// Limits of what a resource may hold, far above any use; outside bytes must not make us grow.
inline constexpr std::size_t kMaxListItems = 20'000;
inline constexpr std::size_t kMaxMapItems = 100'000;
// Kubernetes allows 256 KiB of annotations, which may be one; the rest of an object is smaller.
inline constexpr std::size_t kMaxString = 256 << 10;

class Fields {
 public:
  // `json` must outlive the Fields. Anything but an object is a mistake.
  Fields(const nlohmann::json& json, std::string path, std::optional<Error>& mistake);

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
  // A string or a small number, as text (Kubernetes' IntOrString).
  void read_int_or_string(const char* key, std::string& value);
  // Absent or empty is a mistake.
  void require(const char* key, std::string& value);

  // A nested object; `use(Fields&)` runs only if it is there.
  template <typename Use>
  void object(const char* key, const Use& use) {
    const auto* child = find(key);
    if (child == nullptr) return;
    Fields inner(*child, path_of(key), mistake_);
    use(inner);
  }
  // A list of objects; `use(Fields&)` returns the item.
  template <typename T, typename Use>
  void list(const char* key, std::vector<T>& value, const Use& use) {
    const auto* child = array(key);
    if (child == nullptr) return;
    value.clear();
    value.reserve(child->size());
    for (std::size_t i = 0; i < child->size() && !mistake_; ++i) {
      Fields inner((*child)[i], path_of(key) + "[" + std::to_string(i) + "]", mistake_);
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
  std::optional<Error>& mistake_;
};

// apiVersion, kind and metadata of an encoded object.
[[nodiscard]] nlohmann::json envelope(Kind kind, const ObjectMeta& meta);
// The metadata of any object; the name is required.
[[nodiscard]] ObjectMeta decode_meta(const nlohmann::json& body, std::optional<Error>& mistake);

[[nodiscard]] nlohmann::json to_json(const std::vector<Condition>& conditions);
void read_conditions(Fields& status, std::vector<Condition>& conditions);

// Lists as JSON text values.
template <typename T>
[[nodiscard]] nlohmann::json texts(const std::vector<T>& values) {
  auto out = nlohmann::json::array();
  for (const auto& value : values) out.push_back(value.to_string());
  return out;
}

// Adds `key` unless the value is empty: absent and empty are the same on the wire.
template <typename T>
void put_unless_empty(nlohmann::json& json, const char* key, const T& value) {
  if (!value.empty()) json[key] = value;
}

}  // namespace cw::api
