#include "gateway/feed/imports.h"

#include <nlohmann/json.hpp>

#include "api/types/codec.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {

std::uint64_t fingerprint_of(const api::ExportRecord& record, bool kept_out) {
  constexpr std::uint64_t kKeptOut = 0x9e3779b97f4a7c15U;  // any constant
  return std::hash<std::string>{}(encode_record(record)) ^ (kept_out ? kKeptOut : 0);
}

api::ExportRecord kept_out_record(const std::string& cluster, const api::ObjectKey& service) {
  api::ExportRecord record;
  record.cluster = cluster;
  record.service = service;
  return record;
}

ImportedExport imported_export(const nlohmann::json& body) {
  ImportedExport imported;
  const auto object = api::decode<api::RemoteExport>(body);
  if (object) {
    imported.resource_version = object->meta.resource_version;
    imported.fingerprint = fingerprint_of(object->spec, object->kept_out);
    return imported;
  }
  // Another writer broke it. It is replaced.
  const auto meta = body.find("metadata");
  if (meta != body.end() && meta->is_object()) {
    const auto version = meta->find("resourceVersion");
    if (version != meta->end() && version->is_string()) imported.resource_version = *version;
  }
  return imported;
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
