#include "api/kube/answer.h"

#include <fmt/format.h>

#include "api/store/object.h"

namespace cw::api::kube {

using nlohmann::json;

namespace {

// The string member `key`; empty if it is missing or no string.
std::string text_at(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found == object.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

Result<Object> object_of(Kind kind, json body) {
  const auto& about = info(kind);
  if (!body.is_object() || !body.contains("metadata")) {
    return fail(Errc::kInvalid, fmt::format("{}: the answer is not an object", about.name));
  }
  // The items of a list lack both.
  body["apiVersion"] = about.api_version;
  body["kind"] = about.name;
  const auto& meta = body["metadata"];
  Object object{kind,
                {text_at(meta, "namespace"), text_at(meta, "name")},
                text_at(meta, "resourceVersion"),
                std::move(body)};
  if (object.key.name.empty() || object.resource_version.empty()) {
    return fail(Errc::kInvalid, fmt::format("{}: the answer has no name or version", about.name));
  }
  return object;
}

}  // namespace

Result<json> parse_json(std::string_view text, std::string_view what) {
  if (text.size() > kMaxAnswer) {
    return fail(Errc::kTooLarge, fmt::format("{}: {} bytes", what, text.size()));
  }
  bool deep = false;
  const auto filter = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth) deep = true;
    if (deep) return false;
    return event != json::parse_event_t::key || !parsed.is_string() ||
           parsed.get_ref<const std::string&>() != "managedFields";
  };
  auto value = json::parse(text.begin(), text.end(), filter, false);
  if (deep) return fail(Errc::kInvalid, fmt::format("{}: nested too deeply", what));
  if (value.is_discarded()) return fail(Errc::kInvalid, fmt::format("{}: not JSON", what));
  return value;
}

Result<Object> parse_object(Kind kind, std::string_view text) {
  auto body = parse_json(text, info(kind).name);
  if (!body) return fail(std::move(body.error()));
  return object_of(kind, std::move(*body));
}

Result<Page> parse_page(Kind kind, std::string_view text) {
  auto body = parse_json(text, info(kind).plural);
  if (!body) return fail(std::move(body.error()));
  Page page;
  const auto bad = [&](std::string_view what) {
    return fail(Errc::kInvalid, fmt::format("{}: the list {}", info(kind).plural, what));
  };
  if (!body->is_object() || !body->contains("metadata")) return bad("is not a list");
  page.list.resource_version = text_at((*body)["metadata"], "resourceVersion");
  page.continue_token = text_at((*body)["metadata"], "continue");
  if (page.list.resource_version.empty()) return bad("has no version");
  const auto items = body->find("items");
  if (items == body->end() || items->is_null()) return page;  // Go encodes an empty list as null
  if (!items->is_array()) return bad("has no items");
  page.list.items.reserve(items->size());
  for (auto& item : *items) {
    auto object = object_of(kind, std::move(item));
    if (!object) return fail(std::move(object.error()));
    page.list.items.push_back(std::move(*object));
  }
  return page;
}

Result<WatchEvent> parse_event(Kind kind, std::string_view line) {
  auto body = parse_json(line, "watch event");
  if (!body) return fail(std::move(body.error()));
  const auto type = text_at(*body, "type");
  if (type.empty() || !body->contains("object")) {
    return fail(Errc::kInvalid, "watch event: no type or no object");
  }
  auto& inner = (*body)["object"];
  WatchEvent event;
  if (type == "ERROR") {
    const auto code = inner.is_object() ? inner.find("code") : inner.end();
    const bool known = inner.is_object() && code != inner.end() && code->is_number_integer();
    return fail(error_of(known ? code->get<int>() : 500,
                         inner.dump(-1, ' ', true, json::error_handler_t::replace),
                         fmt::format("watch {}", info(kind).plural)));
  }
  if (type == "BOOKMARK") {
    event.type = EventType::kBookmark;
    if (inner.is_object() && inner.contains("metadata")) {
      event.object.resource_version = text_at(inner["metadata"], "resourceVersion");
    }
    event.object.kind = kind;
    if (event.object.resource_version.empty()) {
      return fail(Errc::kInvalid, "watch event: a bookmark without a version");
    }
    return event;
  }
  if (type == "ADDED") {
    event.type = EventType::kAdded;
  } else if (type == "MODIFIED") {
    event.type = EventType::kModified;
  } else if (type == "DELETED") {
    event.type = EventType::kDeleted;
  } else {
    return fail(Errc::kInvalid, fmt::format("watch event: unknown type {}", type.substr(0, 20)));
  }
  auto object = object_of(kind, std::move(inner));
  if (!object) return fail(std::move(object.error()));
  event.object = std::move(*object);
  return event;
}

Error error_of(int status, std::string_view body, std::string_view what) {
  std::string reason;
  std::string message;
  if (const auto parsed = parse_json(body, "status"); parsed && parsed->is_object()) {
    reason = text_at(*parsed, "reason");
    message = text_at(*parsed, "message");
  }
  if (message.empty()) message = fmt::format("HTTP {}", status);
  if (message.size() > 512) message.resize(512);
  const auto code = [&] {
    switch (status) {
      case 400:
      case 422:
        return Errc::kInvalid;
      case 401:
      case 403:
        return Errc::kDenied;
      case 404:
        return Errc::kNotFound;
      case 409:
        return reason == "AlreadyExists" ? Errc::kExists : Errc::kConflict;
      case 410:
        return Errc::kExpired;
      case 413:
        return Errc::kTooLarge;
      default:
        return status == 429 || status >= 500 ? Errc::kUnavailable : Errc::kInternal;
    }
  }();
  return {code, fmt::format("{}: {}", what, message)};
}

}  // namespace cw::api::kube
