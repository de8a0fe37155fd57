// One RemoteExport: what it needs now, and its fingerprint. The fingerprint is that of the accepted
// export (messages.h). The object carries it, bound to its spec. So comparing needs no record, and
// a spec that another writer changed has another fingerprint. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "api/store/object_keeper.h"
#include "api/types/remote_export.h"

namespace cw::gateway {

// A RemoteExport without its content: a gateway must hold 10,000 of them in memory.
struct ImportedExport {
  static constexpr api::Kind kKind = api::Kind::kRemoteExport;
  std::string resource_version;
  std::uint64_t fingerprint = 0;  // 0: it has none
  friend bool operator==(const ImportedExport&, const ImportedExport&) = default;
};
// The object as JSON, with its fingerprint.
[[nodiscard]] nlohmann::json with_fingerprint(const api::RemoteExport& object,
                                              std::uint64_t fingerprint);

// The stored record of an export that is not imported, because this cluster exports the name
// itself. It has only names, so the fingerprint is the same for all.
[[nodiscard]] api::ExportRecord kept_out_record(const std::string& cluster,
                                                const api::ObjectKey& service);
inline constexpr std::uint64_t kKeptOutFingerprint = 1;

// "<service>.<cluster>" in the Service's namespace, and back. No value: the name has another form.
[[nodiscard]] api::ObjectKey import_key(const std::string& cluster, const api::ObjectKey& service);
struct ImportName {
  std::string cluster;
  api::ObjectKey service;
};
[[nodiscard]] std::optional<ImportName> import_name(const api::ObjectKey& key);

struct ImportCase {
  std::optional<std::uint64_t> wanted;  // the accepted export's fingerprint; none: there is none
  bool paired = true;                   // its cluster has a ClusterPeer
  bool complete = true;                 // all exports of its cluster are known
  bool ns_exists = true;
  std::optional<ImportedExport> stored;
};
// A cluster that is away, or not yet known completely, keeps its records. An unpaired one loses
// them.
[[nodiscard]] api::Verb import_step(const ImportCase& now);

}  // namespace cw::gateway

namespace cw::api {
// Takes any body: an object that cannot be read is to be replaced.
template <>
Result<gateway::ImportedExport> decode(const nlohmann::json& body);
}  // namespace cw::api
