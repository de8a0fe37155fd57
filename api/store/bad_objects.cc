#include "api/store/bad_objects.h"

#include <nlohmann/json.hpp>

#include "api/types/json_fields.h"
#include "base/log.h"

namespace cw::api {

std::optional<nlohmann::json> marked_invalid(nlohmann::json body, const std::string& type,
                                             const std::string& message, WallTime now) {
  std::optional<Error> problem;
  const auto meta = decode_meta(body, problem);
  std::vector<Condition> conditions;
  JsonFields(body, "", problem).object("status", [&](JsonFields& status) {
    status.always("conditions", conditions);
  });
  // Without a name or a proper status there is no place for a condition.
  if (problem) return std::nullopt;
  const Condition invalid{type, ConditionStatus::kFalse, "Invalid", message, meta.generation, {}};
  if (!set_condition(conditions, invalid, now)) return std::nullopt;
  JsonFields(body["status"]).always("conditions", conditions);
  return body;
}

void BadObjects::report(const ObjectKey& key, const Error& error) {
  reads_[key] =
      store_.get(kind_, key, [this, key, message = error.text](const Result<Object>& result) {
        if (!result) return;  // deleted, or the store is away: the informer reports it again
        mark(key, message, *result);
      });
}

void BadObjects::mark(const ObjectKey& key, const std::string& message, Object object) {
  auto body = marked_invalid(std::move(object.body), type_, message, loop_.wall_now());
  if (!body) return;
  std::optional<Error> problem;
  const auto meta = decode_meta(*body, problem);
  writes_[key] = store_.update_status(
      {kind_, key, object.resource_version, std::move(*body)},
      [this, meta, text = message](const Result<Object>& result) {
        if (result) return events_.record(kind_, meta, {true, "Invalid", type_ + ": " + text});
        log_warn("condition not written",
                 {{"object", meta.key.to_string()}, {"error", result.error().text}});
      });
}

}  // namespace cw::api
