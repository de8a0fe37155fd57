// The bookkeeping of imports: the part of a stored RemoteExport that comparing needs, and what to
// do with one. Pure.
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
  std::uint64_t fingerprint = 0;  // of the spec, as in RemoteState; 0: it cannot be read
  friend bool operator==(const ImportedExport&, const ImportedExport&) = default;
};
[[nodiscard]] ImportedExport imported_export(const nlohmann::json& body);

// Equal fingerprints mean equal RemoteExports.
[[nodiscard]] std::uint64_t fingerprint_of(const api::ExportRecord& record, bool kept_out);
// The stored record of an export that is not imported, because this cluster exports the name
// itself.
[[nodiscard]] api::ExportRecord kept_out_record(const std::string& cluster,
                                                const api::ObjectKey& service);

// "<service>.<cluster>" in the Service's namespace, and back. No value: the name has another form.
[[nodiscard]] api::ObjectKey import_key(const std::string& cluster, const api::ObjectKey& service);
struct ImportName {
  std::string cluster;
  api::ObjectKey service;
};
[[nodiscard]] std::optional<ImportName> import_name(const api::ObjectKey& key);

struct ImportCase {
  std::optional<std::uint64_t> wanted;  // the accepted record's fingerprint; none: there is none
  bool paired = true;                   // its cluster has a ClusterPeer
  bool complete = true;                 // all exports of its cluster are known
  bool ns_exists = true;
  std::optional<ImportedExport> stored;
};
// A cluster that is away, or not yet known completely, keeps its records. An unpaired one loses
// them.
[[nodiscard]] api::Verb import_step(const ImportCase& now);

}  // namespace cw::gateway
