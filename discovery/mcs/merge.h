// One clusterset service out of the exports of it that this cluster imports, by the rules of
// KEP-1645 ("Constraints and Conflict Resolution"). Pure: the same claimants in any order of
// arrival give the same. Precedence: oldest export first, ties by cluster id; docs/protocol/dns.md
// says when clusters see different ages.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "api/mcs/serving.h"
#include "api/types/export_record.h"
#include "api/types/service_import.h"

namespace cw::discovery {

using RecordPtr = std::shared_ptr<const api::ExportRecord>;

struct Conflict {
  std::string reasons;  // "PortConflict,TypeConflict": as a condition's reason
  std::string message;
  friend bool operator==(const Conflict&, const Conflict&) = default;
};

// An export that takes part.
struct Claimant {
  RecordPtr record;
  WallTime since{};     // its age for precedence: api::precedence_of()
  bool own = false;     // this cluster's own export
  bool steers = false;  // its annotations causeway.dev/* may decide who serves
};

struct MergedService {
  api::ObjectKey service;
  api::ServiceImport::Spec spec;     // ips are left to who allocates them
  std::vector<RecordPtr> records;    // by precedence
  std::optional<Conflict> conflict;  // the same for all exporters
  [[nodiscard]] bool headless() const { return spec.type == "Headless"; }
  [[nodiscard]] std::vector<std::string> clusters() const;  // sorted
  // Whose exported labels and annotations the import has: the own export's, else the winner's.
  RecordPtr metadata;
  // Whose annotations decide who serves: the own export's, else the first that steers. Null: none.
  RecordPtr policy;
  // For api::serving_clusters(), while the arguments live.
  [[nodiscard]] api::ServingInputs serving(const std::set<std::string>& stale,
                                           const std::string& local) const;
};

// The port of `record` that a port of the merged service stands for; null if that cluster does not
// expose it (requirement "ports": traffic goes only to clusters that do). Behind a virtual IP a
// port is a protocol and a number, whatever its name: a cluster with another number for the same
// name does not expose it. A headless service has no such number, clients learn the endpoints' own
// by the name: there the name counts first.
[[nodiscard]] const api::ServicePort* own_port(const MergedService& service,
                                               const api::ExportRecord& record,
                                               const api::ServicePort& merged);
// By port set of `record`, one number for each port of the merged service: what endpoints with that
// set listen on; none if the cluster does not expose the port or they do not listen on it.
// Computed at once: a record may have 5,000 endpoints and 256 ports.
using PortNumbers = std::vector<std::optional<std::uint16_t>>;
[[nodiscard]] std::vector<PortNumbers> endpoint_ports(const MergedService& service,
                                                      const api::ExportRecord& record);

// `claimants` are of one service, at most one a cluster, at least one.
[[nodiscard]] MergedService merge(std::vector<Claimant> claimants);
// Whether merge() would give this very service again.
[[nodiscard]] bool merges_to(const MergedService& service, std::vector<Claimant> claimants);

}  // namespace cw::discovery
