// The bookkeeping of imports, without the store: what a comparison needs of a stored RemoteExport,
// and what to do about it. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "api/types/remote_export.h"

namespace cw::gateway {

// A RemoteExport without its content: a gateway must hold 10,000 of them in memory.
struct ImportedExport {
  static constexpr api::Kind kKind = api::Kind::kRemoteExport;
  std::string resource_version;
  std::uint64_t fingerprint = 0;  // of the spec, as RemoteState's; 0: not readable
  friend bool operator==(const ImportedExport&, const ImportedExport&) = default;
};
[[nodiscard]] ImportedExport imported_export(const nlohmann::json& body);

// Equal fingerprints mean equal RemoteExports.
[[nodiscard]] std::uint64_t fingerprint_of(const api::ExportRecord& record, bool kept_out);
// The stored form of an export that is not imported because this cluster exports the name itself.
[[nodiscard]] api::ExportRecord kept_out_record(const std::string& cluster,
                                                const api::ObjectKey& service);

// "<service>.<cluster>" in the Service's namespace, and the reverse. None: not such a name.
[[nodiscard]] api::ObjectKey import_key(const std::string& cluster, const api::ObjectKey& service);
struct ImportName {
  std::string cluster;
  api::ObjectKey service;
};
[[nodiscard]] std::optional<ImportName> import_name(const api::ObjectKey& key);

enum class ImportStep { kNone, kCreate, kUpdate, kRemove };

struct ImportCase {
  std::optional<std::uint64_t> wanted;  // of the accepted record; none: there is no such export
  bool paired = true;                   // its cluster has a ClusterPeer
  bool complete = true;                 // all exports of its cluster are known
  bool ns_exists = true;
  std::optional<ImportedExport> stored;
};
// A cluster that is away or not yet complete keeps its records. Only an unpaired cluster loses all.
[[nodiscard]] ImportStep import_step(const ImportCase& now);

}  // namespace cw::gateway
