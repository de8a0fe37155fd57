// What a View means in objects: ServiceImports, and where kube-proxy (or what replaces it) is to
// balance, one Service without selector and EndpointSlices per source cluster and family
// (KEP-1645 "Using EndpointSlice objects", items 10-14 of docs/protocol/dns.md). Pure.
#pragma once

#include "api/types/endpoint_slice.h"
#include "discovery/mcs/view.h"

namespace cw::discovery {

// Marks what is ours, so that nothing of others is ever changed or removed.
inline constexpr std::string_view kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedBy = "discovery.causeway.dev";  // no /: a label's value
inline constexpr std::string_view kServiceLabel = "multicluster.kubernetes.io/service-name";
inline constexpr std::string_view kSourceLabel = "multicluster.kubernetes.io/source-cluster";
// Annotations among an export's exportedAnnotations. Those of MergedService::policy count.
inline constexpr std::string_view kPolicyPrefix = "causeway.dev/";
inline constexpr std::string_view kPrefer = "causeway.dev/prefer";      // "local"
inline constexpr std::string_view kFailover = "causeway.dev/failover";  // "west,north": in order
inline constexpr std::size_t kMaxSliceEndpoints = 1000;                 // the API server's limit

// What one service of the clusterset is to have in this cluster's API.
struct DesiredService {
  std::optional<api::ServiceImport> import;             // status without lastTransition times
  std::optional<api::Service> service;                  // none without `derive`
  std::map<api::ObjectKey, api::EndpointSlice> slices;  // likewise
};

struct DesiredInputs {
  std::string cluster;  // ours
  const Items<api::Namespace>& namespaces;
  const Items<api::Service>& services;  // where the virtual IPs of derived Services are read
  std::set<std::string> families;       // of this cluster's pods; empty: not known
  bool derive = false;                  // vip: clusterip
};
// Nothing where the namespace is not there.
[[nodiscard]] DesiredService desired_service(const DesiredInputs& inputs, const api::ObjectKey& key,
                                             const ClustersetService& service);

// "cw-<16 hex digits>": a label for any name, the same in every cluster and version.
[[nodiscard]] api::ObjectKey derived_key(const api::ObjectKey& service);
[[nodiscard]] bool ours(const api::ObjectMeta& meta);
// The virtual IPs of the derived Service, none while none is allocated.
[[nodiscard]] std::vector<std::string> virtual_ips(const Items<api::Service>& services,
                                                   const api::ObjectKey& service);
// "IPv4" and "IPv6" as far as `prefixes` have them.
[[nodiscard]] std::set<std::string> families_of(const std::vector<Prefix>& prefixes);

// The clusters whose endpoints are to take traffic: all that are connected; with prefer or failover
// the first in order that has a ready endpoint.
[[nodiscard]] std::set<std::string> serving_clusters(const ClustersetService& service,
                                                     const std::string& local);

// Whether the stored Service already does what `wanted` says; what the API server fills in counts
// as that. And `wanted` put over it.
[[nodiscard]] bool satisfies(const api::Service& have, const api::Service& wanted);
[[nodiscard]] api::Service overlaid(const api::Service& have, const api::Service& wanted);

}  // namespace cw::discovery
