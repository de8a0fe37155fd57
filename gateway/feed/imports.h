// The import's bookkeeping, apart from the store: what a RemoteExport in the store says, as little
// of it as comparing needs, and what to do about one. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "api/types/remote_export.h"

namespace cw::gateway {

// A RemoteExport without its content: 10,000 of them must fit into a gateway's memory.
struct ImportedExport {
  static constexpr api::Kind kKind = api::Kind::kRemoteExport;
  std::string resource_version;
  std::uint64_t fingerprint = 0;  // of the spec, as RemoteState's; 0: it cannot be read
  friend bool operator==(const ImportedExport&, const ImportedExport&) = default;
};
[[nodiscard]] ImportedExport imported_export(const nlohmann::json& body);

// Equal fingerprints mean equal RemoteExports.
[[nodiscard]] std::uint64_t fingerprint_of(const api::ExportRecord& record, bool kept_out);
// What is stored of an export that is not imported because this cluster exports the name itself.
[[nodiscard]] api::ExportRecord kept_out_record(const std::string& cluster,
                                                const api::ObjectKey& service);

// "<service>.<cluster>" in the Service's namespace, and back; none: not such a name.
[[nodiscard]] api::ObjectKey import_key(const std::string& cluster, const api::ObjectKey& service);
struct ImportName {
  std::string cluster;
  api::ObjectKey service;
};
[[nodiscard]] std::optional<ImportName> import_name(const api::ObjectKey& key);

enum class ImportStep { kNone, kCreate, kUpdate, kRemove };

struct ImportCase {
  std::optional<std::uint64_t> wanted;  // accepted record's fingerprint; none: there is no such
  bool paired = true;                   // its cluster has a ClusterPeer
  bool complete = true;                 // all exports of its cluster are known
  bool ns_exists = true;
  std::optional<ImportedExport> stored;
};
// What is away or not yet heard completely keeps its records; only an unpaired cluster loses them.
[[nodiscard]] ImportStep import_step(const ImportCase& now);

}  // namespace cw::gateway
