// One cluster's export of one Service: the value that a cluster announces over the feed, that a
// remote cluster stores as RemoteExport.spec, and that the MCS merge takes (KEP-1645).
#pragma once

#include "api/types/endpoint_slice.h"
#include "api/types/service.h"

namespace cw::api {

struct ExportEndpoint {
  std::vector<IpAddress> addresses;  // within the exporter's announced CIDRs
  std::string hostname;              // never empty: dashed IP where the pod has none
  std::string zone;
  bool ready = true;
  bool serving = true;       // as in EndpointSlice: true while a ready pod terminates
  bool terminating = false;  // likewise
  std::uint32_t ports = 0;   // index into ExportRecord::port_sets
  std::string pod{};         // a second name: the pod's, where it has no hostname; or empty
  // Where no endpoint of a service is ready, kube-proxy uses these (KEP-1669).
  [[nodiscard]] bool fallback() const { return serving && terminating; }
  friend auto operator<=>(const ExportEndpoint&, const ExportEndpoint&) = default;
};

// The ports that an endpoint listens on, by ServicePort name; sorted. Empty: it has none of the
// Service's ports, as a pod without the named target port.
using PortSet = std::vector<SlicePort>;
// What a list of one set cannot say (RemoteExport.spec.targetPorts, Export.target_ports), which is
// all that a reader of one minor version before knows.
[[nodiscard]] inline bool only_as_sets(const std::vector<PortSet>& sets) {
  return sets.size() > 1 || (sets.size() == 1 && sets.front().empty());
}

struct ExportRecord {
  std::string cluster;     // source cluster id
  ObjectKey service;       // namespace and name
  WallTime exported_at{};  // ServiceExport's creation time, as its own API server set it
  bool headless = false;
  std::vector<ServicePort> ports;
  // What endpoints listen on; sorted, no duplicates. No set at all: the numbers of `ports`.
  std::vector<PortSet> port_sets;
  std::vector<std::string> cluster_ips;  // of the exporter, not reachable from outside
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
