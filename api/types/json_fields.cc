#include "api/types/json_fields.h"

#include <fmt/format.h>

#include <limits>

namespace cw::api {

using nlohmann::json;

JsonFields::JsonFields(const nlohmann::json& from, std::string path, std::optional<Error>& problem)
    : json_(from), path_(std::move(path)), problem_(problem) {
  if (!json_.is_object() && !problem_) {
    problem_ =
        Error{Errc::kInvalid, fmt::format("{}: want an object", path_.empty() ? "object" : path_)};
  }
}

const json* JsonFields::find(const char* key) const {
  if (!json_.is_object()) return nullptr;
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::string JsonFields::path_of(const char* key) const {
  return path_.empty() ? key : fmt::format("{}.{}", path_, key);
}

void JsonFields::wrong(const char* key, std::string_view what) {
  if (!problem_) problem_ = Error{Errc::kInvalid, fmt::format("{}: {}", path_of(key), what)};
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

void JsonFields::read(const char* key, std::string& value) {
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_string()) return wrong(key, "want a string");
  const auto& text = child->get_ref<const std::string&>();
  if (text.size() > kMaxString) return wrong(key, fmt::format("longer than {} bytes", kMaxString));
  value = text;
}

void JsonFields::read_int_or_string(const char* key, std::string& value) {
  const auto* child = find(key);
  if (child == nullptr || child->is_string()) return read(key, value);
  std::uint16_t number = 0;
  read(key, number);
  value = std::to_string(number);
}

void JsonFields::require(const char* key, std::string& value) {
  value.clear();
  read(key, value);
  if (value.empty()) wrong(key, "is missing");
}

void JsonFields::read(const char* key, bool& value) {
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_boolean()) return wrong(key, "want true or false");
  value = child->get<bool>();
}

void JsonFields::read(const char* key, std::optional<bool>& value) {
  if (!has(key)) return;
  bool flag = false;
  read(key, flag);
  value = flag;
}

void JsonFields::read(const char* key, double& value) {
  const auto* child = find(key);
  if (child == nullptr) return;
  if (!child->is_number()) return wrong(key, "want a number");
  value = child->get<double>();
}

template <typename T>
void JsonFields::read_integer(const char* key, T& value) {
  const auto* child = find(key);
  if (child == nullptr) return;
  constexpr auto kMin = std::numeric_limits<T>::min();
  constexpr auto kMax = std::numeric_limits<T>::max();
  const auto bad = [&] {
    wrong(key, fmt::format("want a whole number from {} to {}", kMin, kMax));
  };
  if (!child->is_number_integer()) return bad();
  if (child->is_number_unsigned()) {
    const auto number = child->get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(kMax)) return bad();
    value = static_cast<T>(number);
    return;
  }
  const auto number = child->get<std::int64_t>();  // negative
  if (std::is_unsigned_v<T> || number < static_cast<std::int64_t>(kMin)) return bad();
  value = static_cast<T>(number);
}

void JsonFields::read(const char* key, std::int32_t& value) { read_integer(key, value); }
void JsonFields::read(const char* key, std::int64_t& value) { read_integer(key, value); }
void JsonFields::read(const char* key, std::uint16_t& value) { read_integer(key, value); }
void JsonFields::read(const char* key, std::uint32_t& value) { read_integer(key, value); }
void JsonFields::read(const char* key, std::uint64_t& value) { read_integer(key, value); }

void JsonFields::read(const char* key, std::optional<std::int32_t>& value) {
  if (!has(key)) return;
  std::int32_t number = 0;
  read(key, number);
  value = number;
}

void JsonFields::read(const char* key, WallTime& value) {
  std::string text;
  read(key, text);
  if (text.empty()) return;
  const auto time = parse_time(text);
  if (!time) return wrong(key, time.error().text);
  value = *time;
}

void JsonFields::read(const char* key, IpAddress& value) {
  std::string text;
  read(key, text);
  if (text.empty()) return;
  const auto address = IpAddress::parse(text);
  if (!address) return wrong(key, address.error().text);
  value = *address;
}

template <typename T, typename Parse>
void JsonFields::read_texts(const char* key, std::vector<T>& value, const Parse& parse) {
  const auto* child = array(key);
  if (child == nullptr) return;
  value.clear();
  for (const auto& item : *child) {
    if (!item.is_string()) return wrong(key, "want a list of strings");
    const auto& text = item.get_ref<const std::string&>();
    if (text.size() > kMaxString) return wrong(key, "an item is too long");
    auto parsed = parse(text);
    if (!parsed) return wrong(key, parsed.error().text);
    value.push_back(std::move(*parsed));
  }
}

void JsonFields::read(const char* key, std::vector<std::string>& value) {
  read_texts(key, value, [](const std::string& text) { return Result<std::string>(text); });
}
void JsonFields::read(const char* key, std::vector<Prefix>& value) {
  read_texts(key, value, Prefix::parse);
}
void JsonFields::read(const char* key, std::vector<IpAddress>& value) {
  read_texts(key, value, IpAddress::parse);
}
void JsonFields::read(const char* key, std::vector<Endpoint>& value) {
  read_texts(key, value, Endpoint::parse);
}

void JsonFields::read(const char* key, std::map<std::string, std::string>& value) {
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

json envelope(Kind kind, const ObjectMeta& meta) {
  json out;
  out["apiVersion"] = info(kind).api_version;
  out["kind"] = info(kind).name;
  auto& m = out["metadata"];
  m["name"] = meta.key.name;
  put_unless_empty(m, "namespace", meta.key.ns);
  put_unless_empty(m, "uid", meta.uid);
  put_unless_empty(m, "resourceVersion", meta.resource_version);
  if (meta.generation != 0) m["generation"] = meta.generation;
  if (meta.created != WallTime{}) m["creationTimestamp"] = format_time(meta.created);
  put_unless_empty(m, "labels", meta.labels);
  put_unless_empty(m, "annotations", meta.annotations);
  return out;
}

ObjectMeta decode_meta(const json& body, std::optional<Error>& problem) {
  ObjectMeta meta;
  JsonFields fields(body, "", problem);
  if (!fields.has("metadata")) fields.wrong("metadata", "is missing");
  fields.object("metadata", [&](JsonFields& m) {
    m.require("name", meta.key.name);
    m.read("namespace", meta.key.ns);
    m.read("uid", meta.uid);
    m.read("resourceVersion", meta.resource_version);
    m.read("generation", meta.generation);
    m.read("creationTimestamp", meta.created);
    m.read("labels", meta.labels);
    m.read("annotations", meta.annotations);
  });
  return meta;
}

json to_json(const std::vector<Condition>& conditions) {
  auto out = json::array();
  for (const auto& condition : conditions) {
    const char* status = condition.status == ConditionStatus::kTrue    ? "True"
                         : condition.status == ConditionStatus::kFalse ? "False"
                                                                       : "Unknown";
    json item{{"type", condition.type},
              {"status", status},
              {"reason", condition.reason},
              {"message", condition.message},
              {"lastTransitionTime", format_time(condition.last_transition)}};
    if (condition.observed_generation != 0)
      item["observedGeneration"] = condition.observed_generation;
    out.push_back(std::move(item));
  }
  return out;
}

void read_conditions(JsonFields& status, std::vector<Condition>& conditions) {
  status.list("conditions", conditions, [](JsonFields& f) {
    Condition condition;
    std::string text;
    f.require("type", condition.type);
    f.read("status", text);
    if (text == "True") {
      condition.status = ConditionStatus::kTrue;
    } else if (text == "False") {
      condition.status = ConditionStatus::kFalse;
    } else if (text != "Unknown") {
      f.wrong("status", "want True, False or Unknown");
    }
    f.read("reason", condition.reason);
    f.read("message", condition.message);
    f.read("observedGeneration", condition.observed_generation);
    f.read("lastTransitionTime", condition.last_transition);
    return condition;
  });
}

}  // namespace cw::api
