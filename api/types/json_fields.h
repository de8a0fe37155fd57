// The fields of one JSON object, in both directions. A record lists its fields once, in a function
// fields(JsonFields&, Record&) of this namespace. That list reads the record and writes it. Only
// for the codecs in this folder, and for code that changes an object's conditions.
//
// Reading: each error has the path of its field. The first error is kept. An absent field keeps its
// default.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/types/meta.h"

namespace cw::api {

// Limits far above any use, because untrusted input must not make the process grow.
inline constexpr std::size_t kMaxListItems = 20'000;
inline constexpr std::size_t kMaxMapItems = 100'000;
// Kubernetes allows 256 KiB of annotations, and one annotation may use all of it. Other strings are
// smaller.
inline constexpr std::size_t kMaxString = 256 << 10;

class JsonFields;
template <typename T>
concept Record = requires(JsonFields& f, T& value) {
  fields(f, value);
};
// A value that is a string in JSON.
template <typename T>
concept Text = requires {
  T::parse("");
};

class JsonFields {
 public:
  // Reads `from`, which must outlive this object. If it is no object, that is an error.
  JsonFields(const nlohmann::json& from, std::string path, std::optional<Error>& problem);
  // Writes into `to`, which must outlive this object.
  explicit JsonFields(nlohmann::json& to) : to_(&to) {}

  [[nodiscard]] bool reading() const { return to_ == nullptr; }
  // Reading: the field is present.
  [[nodiscard]] bool has(const char* key) const { return reading() && find(key) != nullptr; }

  // Reading: the field as it is; null: it is absent. For values that no function below reads.
  [[nodiscard]] const nlohmann::json* raw(const char* key) const {
    return reading() ? find(key) : nullptr;
  }
  // Writing: the field as it is.
  void put_raw(const char* key, nlohmann::json value) { (*to_)[key] = std::move(value); }

  // A field that is written whatever its value is. A record is not written without fields.
  void always(const char* key, std::string& value);
  void always(const char* key, bool& value);
  void always(const char* key, double& value);
  template <std::integral T>
  void always(const char* key, T& value);
  void always(const char* key, WallTime& value);
  void always(const char* key, std::vector<std::string>& values);
  void always(const char* key, std::map<std::string, std::string>& value);
  template <Text T>
  void always(const char* key, T& value) {
    auto text = reading() ? "" : value.to_string();
    always(key, text);
    if (reading() && !text.empty()) parse(key, text, value);
  }
  template <Text T>
  void always(const char* key, std::vector<T>& values) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const auto& value : values) texts.push_back(value.to_string());
    always(key, texts);
    if (!reading()) return;
    values.clear();
    for (const auto& text : texts) parse(key, text, values.emplace_back());
  }
  template <typename T>
  void always(const char* key, std::optional<T>& value) {
    if (!reading()) return always(key, *value);
    if (!has(key)) return;
    T fresh{};
    always(key, fresh);
    value = std::move(fresh);
  }
  template <Record T>
  void always(const char* key, T& value) {
    object(key, [&](JsonFields& f) { fields(f, value); });
  }
  template <Record T>
  void always(const char* key, std::vector<T>& values) {
    list(key, values, [](JsonFields& f, T& value) { fields(f, value); });
  }
  // A field that is not written if it is empty, false or 0.
  template <typename T>
  void optional(const char* key, T& value) {
    if (reading() || value != T{}) always(key, value);
  }
  // A field that is an error if it is absent or an empty string.
  template <typename T>
  void required(const char* key, T& value) {
    want(has(key), key, "is missing");
    always(key, value);
    if constexpr (std::same_as<T, std::string>) want(!value.empty(), key, "is missing");
  }
  // A string or a number up to 65535, as text (Kubernetes' IntOrString).
  void int_or_string(const char* key, std::string& value);

  // A nested object, read and written by `use(JsonFields&)`. It is not written without fields.
  template <typename Use>
  void object(const char* key, const Use& use) {
    auto written = nlohmann::json::object();
    if (reading()) {
      const auto* child = find(key);
      if (child == nullptr || problem_ == nullptr) return;
      JsonFields inner(*child, path_of(key), *problem_);
      use(inner);
    } else {
      JsonFields inner(written);
      use(inner);
      if (!written.empty()) (*to_)[key] = std::move(written);
    }
  }
  // A list of objects, each read and written by `use(JsonFields&, T&)`.
  template <typename T, typename Use>
  void list(const char* key, std::vector<T>& values, const Use& use) {
    if (!reading()) {
      auto& written = (*to_)[key] = nlohmann::json::array();
      for (auto& value : values) {
        JsonFields inner(written.emplace_back(nlohmann::json::object()));
        use(inner, value);
      }
      return;
    }
    const auto* items = array(key);
    if (items == nullptr || problem_ == nullptr) return;
    values.clear();
    values.reserve(items->size());
    for (std::size_t i = 0; i < items->size() && !*problem_; ++i) {
      JsonFields inner((*items)[i], path_of(key) + "[" + std::to_string(i) + "]", *problem_);
      use(inner, values.emplace_back());
    }
  }

  // Reading: reports `what` unless `good`.
  void want(bool good, const char* key, std::string_view what);

 private:
  [[nodiscard]] const nlohmann::json* find(const char* key) const;  // null counts as absent
  [[nodiscard]] const nlohmann::json* array(const char* key);
  [[nodiscard]] std::string path_of(const char* key) const;
  void wrong(const char* key, std::string_view what) { want(false, key, what); }
  template <typename T>
  void parse(const char* key, const std::string& text, T& value) {
    auto parsed = T::parse(text);
    if (!parsed) return wrong(key, parsed.error().text);
    value = *parsed;
  }

  const nlohmann::json* from_ = nullptr;
  nlohmann::json* to_ = nullptr;
  std::string path_;
  std::optional<Error>* problem_ = nullptr;
};

void fields(JsonFields& f, ObjectMeta& meta);
void fields(JsonFields& f, Condition& condition);

// The metadata of any object. A missing name is an error.
[[nodiscard]] ObjectMeta decode_meta(const nlohmann::json& body, std::optional<Error>& problem);

}  // namespace cw::api
