#include "api/store/object.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace cw::api {

using nlohmann::json;

namespace {

bool is_name(std::string_view text) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 253 && alnum(text.front()) && alnum(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return alnum(c) || c == '-' || c == '.'; });
}

std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The metadata, replaced by an empty object if it is none.
json& metadata(json& body) {
  auto& meta = body["metadata"];
  if (!meta.is_object()) meta = json::object();
  return meta;
}

json without(json body, const char* key) {
  body.erase(key);
  return body;
}

}  // namespace

Result<> check_key(Kind kind, const ObjectKey& key) {
  const auto& kind_info = info(kind);
  if (!is_name(key.name)) {
    return fail(Errc::kInvalid, fmt::format("{} \"{}\": a name may have only a-z, 0-9, - and .",
                                            kind_info.name, key.name.substr(0, 260)));
  }
  if (kind_info.namespaced && !is_dns_label(key.ns)) {
    return fail(Errc::kInvalid, fmt::format("{} {}: namespace \"{}\" is not a DNS label",
                                            kind_info.name, key.name, key.ns.substr(0, 260)));
  }
  if (!kind_info.namespaced && !key.ns.empty()) {
    return fail(Errc::kInvalid, fmt::format("{} {}: has no namespace", kind_info.name, key.name));
  }
  return {};
}

ObjectKey key_of(const json& body) {
  if (!body.is_object() || !body.contains("metadata")) return {};
  const auto& meta = body.at("metadata");
  return {text_at(meta, "namespace"), text_at(meta, "name")};
}

json stamped_new(Kind kind, json body, const std::string& uid, WallTime now) {
  body.erase("status");
  body["apiVersion"] = info(kind).api_version;
  body["kind"] = info(kind).name;
  auto& meta = metadata(body);
  meta["uid"] = uid;
  meta["creationTimestamp"] = format_time(now);
  meta["generation"] = 1;
  meta.erase("resourceVersion");
  return body;
}

json merged_update(const json& stored, json next) {
  auto& meta = metadata(next);
  const auto& old = stored.at("metadata");
  for (const char* key : {"uid", "creationTimestamp", "generation"}) {
    meta.erase(key);
    if (old.contains(key)) meta[key] = old[key];
  }
  meta.erase("resourceVersion");
  next["apiVersion"] = stored.value("apiVersion", "");
  next["kind"] = stored.value("kind", "");
  next.erase("status");
  if (stored.contains("status")) next["status"] = stored["status"];
  const bool changed = without(without(next, "metadata"), "status") !=
                       without(without(stored, "metadata"), "status");
  if (changed) meta["generation"] = old.value("generation", std::int64_t{1}) + 1;
  return next;
}

json merged_status(const json& stored, const json& next) {
  auto out = stored;
  out.erase("status");
  if (next.contains("status")) out["status"] = next["status"];
  metadata(out).erase("resourceVersion");
  return out;
}

bool same_content(const json& a, const json& b) {
  auto x = a;
  auto y = b;
  metadata(x).erase("resourceVersion");
  metadata(y).erase("resourceVersion");
  return x == y;
}

std::map<std::string, std::string> text_labels(const json& body) {
  constexpr std::size_t kMostLabels = 64;
  constexpr std::size_t kMostBytes = 63;  // of a label's value
  std::map<std::string, std::string> out;
  if (!body.is_object() || !body.contains("metadata")) return out;
  const auto& meta = body.at("metadata");
  if (!meta.is_object() || !meta.contains("labels") || !meta.at("labels").is_object()) return out;
  for (const auto& [name, value] : meta.at("labels").items()) {
    if (out.size() == kMostLabels) break;
    if (!value.is_string()) continue;
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() <= kMostBytes) out.emplace(name, text);
  }
  return out;
}

bool labels_match(const json& body, const std::string& selector) {
  if (selector.empty()) return true;
  static const json kNone = json::object();
  const auto& meta = body.contains("metadata") ? body.at("metadata") : kNone;
  const auto& labels = meta.is_object() && meta.contains("labels") ? meta.at("labels") : kNone;
  for (std::size_t at = 0; at <= selector.size();) {
    const auto end = std::min(selector.find(',', at), selector.size());
    const auto term = selector.substr(at, end - at);
    const auto equals = term.find('=');
    const auto name = term.substr(0, equals);
    const auto want = equals == std::string::npos ? "" : term.substr(equals + 1);
    if (!labels.is_object() || !labels.contains(name) || text_at(labels, name.c_str()) != want) {
      return false;
    }
    at = end + 1;
  }
  return true;
}

bool selected(const Selector& selector, const Object& object) {
  return object.kind == selector.kind && (selector.ns.empty() || selector.ns == object.key.ns) &&
         (selector.name.empty() || selector.name == object.key.name) &&
         labels_match(object.body, selector.label_selector);
}

std::string new_uid(Random& random) {
  std::array<std::byte, 16> bytes{};
  random.fill(bytes);
  bytes[6] = (bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  bytes[8] = (bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += fmt::format("{:02x}", std::to_integer<unsigned>(bytes[i]));
  }
  return out;
}

}  // namespace cw::api
