#include "gateway/feed/imports.h"

#include <nlohmann/json.hpp>

#include "api/types/codec.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {

ImportedExport imported_export(const nlohmann::json& body) {
  ImportedExport imported;
  const auto object = api::decode<api::RemoteExport>(body);
  if (object) {
    imported.resource_version = object->meta.resource_version;
    imported.fingerprint = std::hash<std::string>{}(encode_record(object->spec));
    return imported;
  }
  // Somebody broke it: to be replaced.
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

ImportStep import_step(const ImportCase& now) {
  if (!now.paired) return now.stored ? ImportStep::kRemove : ImportStep::kNone;
  if (!now.complete) return ImportStep::kNone;
  if (!now.wanted) return now.stored ? ImportStep::kRemove : ImportStep::kNone;
  if (!now.stored) return now.ns_exists ? ImportStep::kCreate : ImportStep::kNone;
  return now.stored->fingerprint == *now.wanted ? ImportStep::kNone : ImportStep::kUpdate;
}

}  // namespace cw::gateway
