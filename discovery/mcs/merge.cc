#include "discovery/mcs/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"

namespace cw::discovery {

using api::ExportRecord;
using api::ServicePort;

namespace {

// The parts of a port on which exporters must agree.
ServicePort comparable(ServicePort port) {
  port.target_port.clear();
  return port;
}

std::set<ServicePort> port_set(const ExportRecord& record) {
  std::set<ServicePort> out;
  for (const auto& port : record.ports) out.insert(comparable(port));
  return out;
}

// The union of all ports, first by name, then by protocol and number. The older export wins. The
// API server refuses a Service with several ports if one has no name. So a port without a name is
// left out, unless it is the first one and its export has no named ports.
std::vector<ServicePort> merged_ports(const std::vector<RecordPtr>& records) {
  std::vector<ServicePort> out;
  for (const auto& record : records) {
    const bool names = std::any_of(record->ports.begin(), record->ports.end(),
                                   [](const ServicePort& port) { return !port.name.empty(); });
    for (const auto& port : record->ports) {
      const bool unfit =
          port.name.empty() ? names || !out.empty() : !out.empty() && out.front().name.empty();
      if (unfit) continue;
      const bool taken = std::any_of(out.begin(), out.end(), [&](const ServicePort& have) {
        return have.name == port.name || (have.protocol == port.protocol && have.port == port.port);
      });
      if (!taken) out.push_back(comparable(port));
    }
  }
  return out;
}

// The fields in which exporters differ from the winner.
struct Differences {
  const std::vector<RecordPtr>& records;
  std::vector<std::string> reasons;
  std::vector<std::string> clauses;

  void check(std::string_view reason, std::string_view field,
             const std::function<bool(const ExportRecord&, const ExportRecord&)>& same) {
    std::size_t differ = 0;
    for (const auto& record : records) differ += same(*records.front(), *record) ? 0 : 1;
    if (differ == 0) return;
    reasons.emplace_back(reason);
    clauses.push_back(fmt::format("{}: {}/{} clusters disagree", field, differ, records.size()));
  }
};

std::set<std::string> as_set(const std::vector<std::string>& values) {
  return {values.begin(), values.end()};
}

std::optional<Conflict> conflict_of(const std::vector<RecordPtr>& records) {
  Differences d{records, {}, {}};
  const auto by = [](auto member) {
    return
        [member](const ExportRecord& a, const ExportRecord& b) { return a.*member == b.*member; };
  };
  d.check("PortConflict", "ports",
          [](const ExportRecord& a, const ExportRecord& b) { return port_set(a) == port_set(b); });
  d.check("TypeConflict", "type", by(&ExportRecord::headless));
  d.check("SessionAffinityConflict", "sessionAffinity", by(&ExportRecord::session_affinity));
  d.check("SessionAffinityConfigConflict", "sessionAffinityConfig",
          by(&ExportRecord::session_affinity_timeout));
  d.check("InternalTrafficPolicyConflict", "internalTrafficPolicy",
          by(&ExportRecord::internal_traffic_policy));
  d.check("TrafficDistributionConflict", "trafficDistribution",
          by(&ExportRecord::traffic_distribution));
  d.check("LabelsConflict", "exportedLabels", by(&ExportRecord::labels));
  d.check("AnnotationsConflict", "exportedAnnotations", by(&ExportRecord::annotations));
  d.check("IPFamilyConflict", "ipFamilies", [](const ExportRecord& a, const ExportRecord& b) {
    return as_set(a.ip_families) == as_set(b.ip_families);
  });
  if (d.reasons.empty()) return std::nullopt;
  return Conflict{fmt::format("{}", fmt::join(d.reasons, ",")),
                  fmt::format("{}; the oldest export, of cluster {}, wins",
                              fmt::join(d.clauses, "; "), records.front()->cluster)};
}

struct Ranked {
  std::vector<RecordPtr> records;
  RecordPtr metadata;
  RecordPtr policy;
};

Ranked ranked(std::vector<Claimant> claimants) {
  CW_CHECK(!claimants.empty());
  std::sort(claimants.begin(), claimants.end(), [](const Claimant& a, const Claimant& b) {
    return std::tie(a.since, a.record->cluster) < std::tie(b.since, b.record->cluster);
  });
  Ranked out;
  for (auto& claimant : claimants) {
    if (claimant.own) out.metadata = out.policy = claimant.record;
    out.records.push_back(claimant.record);
  }
  if (out.metadata == nullptr) out.metadata = out.records.front();
  for (const auto& claimant : claimants) {
    if (out.policy == nullptr && claimant.steers) out.policy = claimant.record;
  }
  return out;
}

}  // namespace

std::vector<std::string> MergedService::clusters() const {
  std::set<std::string> ids;
  for (const auto& record : records) ids.insert(record->cluster);
  return {ids.begin(), ids.end()};
}

api::ServingInputs MergedService::serving(const std::set<std::string>& stale,
                                          const std::string& local) const {
  api::ServingInputs inputs{{}, policy == nullptr ? nullptr : &policy->annotations, stale, local};
  for (const auto& record : records) inputs.records.push_back(record.get());
  return inputs;
}

const ServicePort* own_port(const MergedService& service, const ExportRecord& record,
                            const ServicePort& merged) {
  const ServicePort* same_number = nullptr;
  for (const auto& port : record.ports) {
    if (port.protocol != merged.protocol) continue;
    if (service.headless() && port.name == merged.name) return &port;
    if (port.port == merged.port) same_number = &port;
  }
  return same_number;
}

std::vector<PortNumbers> endpoint_ports(const MergedService& service, const ExportRecord& record) {
  const auto& ports = service.spec.ports;
  std::vector<PortNumbers> out(std::max<std::size_t>(1, record.port_sets.size()),
                               PortNumbers(ports.size()));
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto* own = own_port(service, record, ports[i]);
    if (own == nullptr) continue;
    if (record.port_sets.empty()) out[0][i] = own->port;
    for (std::size_t set = 0; set < record.port_sets.size(); ++set) {
      const auto& listens = record.port_sets[set];
      const auto at = std::find_if(listens.begin(), listens.end(), [&](const auto& target) {
        return target.name == own->name && target.protocol == own->protocol;
      });
      if (at != listens.end()) out[set][i] = at->port;
    }
  }
  return out;
}

MergedService merge(std::vector<Claimant> claimants) {
  auto [records, metadata, policy] = ranked(std::move(claimants));
  MergedService out;
  const auto& winner = *records.front();
  out.service = winner.service;
  out.spec.type = winner.headless ? "Headless" : "ClusterSetIP";
  out.spec.ports = merged_ports(records);
  out.spec.ip_families = winner.ip_families;
  out.spec.session_affinity = winner.session_affinity;
  out.spec.session_affinity_timeout = winner.session_affinity_timeout;
  out.spec.internal_traffic_policy = winner.internal_traffic_policy;
  out.spec.traffic_distribution = winner.traffic_distribution;
  out.conflict = conflict_of(records);
  out.records = std::move(records);
  out.metadata = std::move(metadata);
  out.policy = std::move(policy);
  return out;
}

bool merges_to(const MergedService& service, std::vector<Claimant> claimants) {
  const auto [records, metadata, policy] = ranked(std::move(claimants));
  return records == service.records && metadata == service.metadata && policy == service.policy;
}

}  // namespace cw::discovery
