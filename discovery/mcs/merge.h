// One clusterset service out of all clusters' exports of it, by the rules of KEP-1645 ("Constraints
// and Conflict Resolution"). Pure: every cluster computes the same from the same records, in any
// order of arrival. Precedence: oldest export first, ties by cluster id.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/types/export_record.h"
#include "api/types/service_import.h"

namespace cw::discovery {

using RecordPtr = std::shared_ptr<const api::ExportRecord>;

struct Conflict {
  std::string reasons;  // "PortConflict,TypeConflict": as a condition's reason
  std::string message;
  friend bool operator==(const Conflict&, const Conflict&) = default;
};

struct MergedService {
  api::ObjectKey service;
  api::ServiceImport::Spec spec;     // ips are left to who allocates them
  std::vector<RecordPtr> records;    // by precedence
  std::optional<Conflict> conflict;  // the same for all exporters
  [[nodiscard]] bool headless() const { return spec.type == "Headless"; }
  [[nodiscard]] std::vector<std::string> clusters() const;  // sorted
  [[nodiscard]] const api::ExportRecord& winner() const { return *records.front(); }
};

// The number that endpoints of `record` listen on for a port of the merged service; nothing if that
// cluster does not expose it (requirement "ports": traffic goes only to clusters that do). Ports
// are the same if their names are; else if protocol and number are.
[[nodiscard]] const api::ServicePort* own_port(const api::ExportRecord& record,
                                               const api::ServicePort& merged);
[[nodiscard]] std::optional<std::uint16_t> endpoint_port(const api::ExportRecord& record,
                                                         const api::ServicePort& merged);

// Oldest export first, ties by cluster id.
void by_precedence(std::vector<RecordPtr>& records);

// `records` are of one service, at most one a cluster, at least one.
[[nodiscard]] MergedService merge(std::vector<RecordPtr> records);

}  // namespace cw::discovery
