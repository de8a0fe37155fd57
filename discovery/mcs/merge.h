// Merges the exports of one clusterset service that this cluster imports, by the rules of KEP-1645
// ("Constraints and Conflict Resolution"). Pure: the result does not depend on the order of the
// claimants. The oldest export has precedence, then the lower cluster id. docs/protocol/dns.md
// tells when clusters see different ages.
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
  std::string reasons;  // a condition's reason: "PortConflict,TypeConflict"
  std::string message;
  friend bool operator==(const Conflict&, const Conflict&) = default;
};

// An export that takes part in the merge.
struct Claimant {
  RecordPtr record;
  WallTime since{};     // its age for precedence: api::precedence_of()
  bool own = false;     // this cluster's own export
  bool steers = false;  // its annotations causeway.dev/* may decide which clusters serve
};

struct MergedService {
  api::ObjectKey service;
  api::ServiceImport::Spec spec;     // without ips
  std::vector<RecordPtr> records;    // by precedence
  std::optional<Conflict> conflict;  // the same for all exporters
  [[nodiscard]] bool headless() const { return spec.type == "Headless"; }
  [[nodiscard]] std::vector<std::string> clusters() const;  // sorted
  // The record whose exported labels and annotations the import has: the own export, else the
  // winner.
  RecordPtr metadata;
  // The record whose annotations decide which clusters serve: the own export, else the first one
  // that steers. Null: none.
  RecordPtr policy;
  // The inputs for api::serving_of(). They refer to the arguments.
  [[nodiscard]] api::ServingInputs serving(const std::set<std::string>& stale,
                                           const std::string& local) const;
};

// The port of `record` that belongs to a port of the merged service. Null: that cluster does not
// expose it, so it gets no traffic for it (requirement "ports"). Behind a virtual IP a port is its
// protocol and number, whatever its name. A cluster with another number for the same name does not
// expose it. A headless service has no such number. Its clients learn the endpoints' own numbers by
// the name, so there the name decides first.
[[nodiscard]] const api::ServicePort* own_port(const MergedService& service,
                                               const api::ExportRecord& record,
                                               const api::ServicePort& merged);
// For each port set of `record`: one number per port of the merged service. It is the number on
// which endpoints with that set listen. No value: the cluster does not expose the port, or they do
// not listen on it. Computed for all endpoints at once, because a record may have 5,000 endpoints
// and 256 ports.
using PortNumbers = std::vector<std::optional<std::uint16_t>>;
[[nodiscard]] std::vector<PortNumbers> endpoint_ports(const MergedService& service,
                                                      const api::ExportRecord& record);

// `claimants` belong to one service. At least one, and at most one per cluster.
[[nodiscard]] MergedService merge(std::vector<Claimant> claimants);
// True: merge() would return this same service again.
[[nodiscard]] bool merges_to(const MergedService& service, std::vector<Claimant> claimants);

}  // namespace cw::discovery
