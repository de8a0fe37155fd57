#include "api/types/json_fields.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "base/number.h"

namespace cw::api {

using nlohmann::json;

JsonFields::JsonFields(const nlohmann::json& from, std::string path, std::optional<Error>& problem)
    : from_(&from), path_(std::move(path)), problem_(&problem) {
  if (!from.is_object() && !problem) {
    problem =
        Error{Errc::kInvalid, fmt::format("{}: want an object", path_.empty() ? "object" : path_)};
  }
}

const json* JsonFields::find(const char* key) const {
  if (from_ == nullptr || !from_->is_object()) return nullptr;
  const auto found = from_->find(key);
  return found == from_->end() || found->is_null() ? nullptr : &*found;
}

std::string JsonFields::path_of(const char* key) const {
  return path_.empty() ? key : fmt::format("{}.{}", path_, key);
}

void JsonFields::want(bool good, const char* key, std::string_view what) {
  if (good || problem_ == nullptr || *problem_) return;  // null: writing
  *problem_ = Error{Errc::kInvalid, fmt::format("{}: {}", path_of(key), what)};
}

const json* JsonFields::array(const char* key) {
  const auto* child = find(key);
  if (child == nullptr) return nullptr;
  if (!child->is_array()) {
    wrong(key, "want a list");
    return nullptr;
  }
  if (child->size() > kMaxListItems) {
    wrong(key, fmt::format("{} items, at most {}", child->size(), kMaxListItems));
    return nullptr;
  }
  return child;
}

void JsonFields::always(const char* key, std::string& value) {
  if (!reading()) return void((*to_)[key] = value);
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_string()) return wrong(key, "want a string");
  const auto& text = child->get_ref<const std::string&>();
  if (text.size() > kMaxString) return wrong(key, fmt::format("longer than {} bytes", kMaxString));
  value = text;
}

void JsonFields::int_or_string(const char* key, std::string& value) {
  std::uint16_t number = 0;
  if (reading()) {
    const auto* child = find(key);
    if (child == nullptr || child->is_string()) return always(key, value);
    always(key, number);
    value = std::to_string(number);
    return;
  }
  if (auto read = number_of<std::uint16_t>(value)) {
    always(key, *read);
  } else {
    optional(key, value);
  }
}

void JsonFields::always(const char* key, bool& value) {
  if (!reading()) return void((*to_)[key] = value);
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_boolean()) return wrong(key, "want true or false");
  value = child->get<bool>();
}

void JsonFields::always(const char* key, double& value) {
  if (!reading()) return void((*to_)[key] = value);
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_number()) return wrong(key, "want a number");
  value = child->get<double>();
}

template <std::integral T>
void JsonFields::always(const char* key, T& value) {
  if (!reading()) return void((*to_)[key] = value);
  const auto* child = find(key);
  if (child == nullptr) return;
  constexpr auto kMin = std::numeric_limits<T>::min();
  constexpr auto kMax = std::numeric_limits<T>::max();
  const auto in_range = [&] {
    if (!child->is_number_integer()) return false;
    if (child->is_number_unsigned()) return std::in_range<T>(child->get<std::uint64_t>());
    return std::in_range<T>(child->get<std::int64_t>());
  };
  if (!in_range()) {
    return wrong(key, fmt::format("want a whole number from {} to {}", kMin, kMax));
  }
  value = child->get<T>();
}
template void JsonFields::always(const char* key, std::int32_t& value);
template void JsonFields::always(const char* key, std::int64_t& value);
template void JsonFields::always(const char* key, std::uint16_t& value);
template void JsonFields::always(const char* key, std::uint32_t& value);
template void JsonFields::always(const char* key, std::uint64_t& value);

void JsonFields::always(const char* key, WallTime& value) {
  auto text = reading() ? "" : format_time(value);
  always(key, text);
  if (!reading() || text.empty()) return;
  const auto time = parse_time(text);
  if (!time) return wrong(key, time.error().text);
  value = *time;
}

void JsonFields::always(const char* key, std::vector<std::string>& values) {
  if (!reading()) return void((*to_)[key] = values);
  const auto* items = array(key);
  if (items == nullptr) return;
  values.clear();
  for (const auto& item : *items) {
    if (!item.is_string()) return wrong(key, "want a list of strings");
    values.push_back(item.get<std::string>());
    if (values.back().size() > kMaxString) return wrong(key, "an item is too long");
  }
}

void JsonFields::always(const char* key, std::map<std::string, std::string>& value) {
  if (!reading()) return void((*to_)[key] = value);
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_object()) return wrong(key, "want a mapping of strings to strings");
  if (child->size() > kMaxMapItems) {
    return wrong(key, fmt::format("{} entries, at most {}", child->size(), kMaxMapItems));
  }
  value.clear();
  for (const auto& [name, item] : child->items()) {
    if (!item.is_string()) return wrong(key, "want a mapping of strings to strings");
    if (item.get_ref<const std::string&>().size() > kMaxString) {
      return wrong(key, fmt::format("a value is longer than {} bytes", kMaxString));
    }
    value.emplace(name, item.get<std::string>());
  }
}

void fields(JsonFields& f, ObjectMeta& meta) {
  f.required("name", meta.key.name);
  f.optional("namespace", meta.key.ns);
  f.optional("uid", meta.uid);
  f.optional("resourceVersion", meta.resource_version);
  f.optional("generation", meta.generation);
  f.optional("creationTimestamp", meta.created);
  f.optional("labels", meta.labels);
  f.optional("annotations", meta.annotations);
}

ObjectMeta decode_meta(const json& body, std::optional<Error>& problem) {
  ObjectMeta meta;
  JsonFields(body, "", problem).required("metadata", meta);
  return meta;
}

void fields(JsonFields& f, Condition& condition) {
  constexpr auto kTrue = ConditionStatus::kTrue;
  constexpr auto kFalse = ConditionStatus::kFalse;
  std::string status;  // an absent one is an error
  if (!f.reading()) {
    status = condition.status == kTrue ? "True" : condition.status == kFalse ? "False" : "Unknown";
  }
  f.required("type", condition.type);
  f.always("status", status);
  f.want(status == "True" || status == "False" || status == "Unknown", "status",
         "want True, False or Unknown");
  condition.status = status == "True"    ? kTrue
                     : status == "False" ? kFalse
                                         : ConditionStatus::kUnknown;
  f.always("reason", condition.reason);
  f.always("message", condition.message);
  f.optional("observedGeneration", condition.observed_generation);
  f.always("lastTransitionTime", condition.last_transition);
}

}  // namespace cw::api
