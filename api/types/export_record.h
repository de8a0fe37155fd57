// One cluster's export of one Service. The cluster announces this value over the feed, a remote
// cluster stores it as RemoteExport.spec, and the MCS merge uses it (KEP-1645).
#pragma once

#include "api/types/endpoint_slice.h"
#include "api/types/service.h"

namespace cw::api {

struct ExportEndpoint {
  std::vector<IpAddress> addresses;  // within the exporter's announced CIDRs
  std::string hostname;              // never empty: the dashed IP if the pod has none
  std::string zone;
  bool ready = true;
  bool serving = true;       // as in an EndpointSlice: true while a ready pod terminates
  bool terminating = false;  // as in an EndpointSlice
  std::uint32_t ports = 0;   // index into ExportRecord::port_sets
  std::string pod{};         // a second name: the pod's, if it has no hostname; may be empty
  // kube-proxy uses such an endpoint when no endpoint of the service is ready (KEP-1669).
  [[nodiscard]] bool fallback() const { return serving && terminating; }
  friend auto operator<=>(const ExportEndpoint&, const ExportEndpoint&) = default;
};

// The ports that an endpoint listens on, by ServicePort name, sorted. Empty: none of the Service's
// ports, e.g. for a pod without the named target port.
using PortSet = std::vector<SlicePort>;
// True: `sets` cannot be written as one list (RemoteExport.spec.targetPorts, Export.target_ports).
// Readers of the previous minor version know only that list.
[[nodiscard]] inline bool only_as_sets(const std::vector<PortSet>& sets) {
  return sets.size() > 1 || (sets.size() == 1 && sets.front().empty());
}

struct ExportRecord {
  std::string cluster;     // source cluster id
  ObjectKey service;       // namespace and name
  WallTime exported_at{};  // the ServiceExport's creation time, set by its own API server
  bool headless = false;
  std::vector<ServicePort> ports;
  // The ports endpoints listen on: sorted, no duplicates. Empty: they listen on the numbers of
  // `ports`.
  std::vector<PortSet> port_sets;
  std::vector<std::string> cluster_ips;  // the exporter's, not reachable from outside
  std::vector<std::string> ip_families;
  std::string session_affinity = "None";
  std::optional<std::int32_t> session_affinity_timeout;
  std::string internal_traffic_policy;
  std::string traffic_distribution;
  std::map<std::string, std::string> labels;       // spec.exportedLabels
  std::map<std::string, std::string> annotations;  // spec.exportedAnnotations
  std::vector<ExportEndpoint> endpoints;           // sorted, no duplicates
  friend bool operator==(const ExportRecord&, const ExportRecord&) = default;
};

}  // namespace cw::api
