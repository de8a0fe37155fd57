#include "gateway/feed/import_step.h"

#include <fmt/format.h>

#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "api/types/codec.h"

namespace cw::gateway {
namespace {

using nlohmann::json;

const json::json_pointer version_at("/metadata/resourceVersion");
const json::json_pointer fingerprint_at("/metadata/annotations/causeway.dev~1fingerprint");

// Empty: there is no such text.
std::string text_at(const json& body, const json::json_pointer& at) {
  return body.contains(at) && body.at(at).is_string() ? body.at(at).get<std::string>() : "";
}

// The same for equal JSON, whichever store it went through.
std::uint64_t hash_of_spec(const json& body) {
  const auto spec = body.find("spec");
  if (spec == body.end()) return 0;
  return std::hash<std::string>{}(spec->dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

json with_fingerprint(const api::RemoteExport& object, std::uint64_t fingerprint) {
  auto body = api::encode(object);
  body[fingerprint_at] = fmt::format("{:016x}", fingerprint ^ hash_of_spec(body));
  return body;
}

api::ExportRecord kept_out_record(const std::string& cluster, const api::ObjectKey& service) {
  api::ExportRecord record;
  record.cluster = cluster;
  record.service = service;
  return record;
}

api::ObjectKey import_key(const std::string& cluster, const api::ObjectKey& service) {
  return {service.ns, service.name + "." + cluster};
}

std::optional<ImportName> import_name(const api::ObjectKey& key) {
  const auto dot = key.name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  return ImportName{key.name.substr(dot + 1), {key.ns, key.name.substr(0, dot)}};
}

api::Verb import_step(const ImportCase& now) {
  using api::Verb;
  if (!now.paired) return now.stored ? Verb::kRemove : Verb::kNone;
  if (!now.complete) return Verb::kNone;
  if (!now.wanted) return now.stored ? Verb::kRemove : Verb::kNone;
  if (!now.stored) return now.ns_exists ? Verb::kCreate : Verb::kNone;
  return now.stored->fingerprint == *now.wanted ? Verb::kNone : Verb::kUpdate;
}

}  // namespace cw::gateway

namespace cw::api {

template <>
Result<gateway::ImportedExport> decode(const nlohmann::json& body) {
  gateway::ImportedExport imported{gateway::text_at(body, gateway::version_at)};
  const auto text = gateway::text_at(body, gateway::fingerprint_at);
  std::uint64_t bound = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bound, 16);
  if (error == std::errc{}) imported.fingerprint = bound ^ gateway::hash_of_spec(body);
  return imported;
}

}  // namespace cw::api
