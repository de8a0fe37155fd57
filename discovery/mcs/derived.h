// The objects for a View. These are ServiceImports, and with `derive` one Service without selector
// and its EndpointSlices per source cluster and family. kube-proxy or its replacement balances the
// Service (KEP-1645 "Using EndpointSlice objects", items 10 to 14 of docs/protocol/dns.md). Pure.
#pragma once

#include "api/names.h"
#include "api/types/endpoint_slice.h"
#include "discovery/mcs/view.h"

namespace cw::discovery {

// Marks Causeway's objects. Objects without it are never changed or removed.
using api::kManagedByLabel;
inline constexpr std::string_view kManagedBy = "discovery.causeway.dev";  // a label's value: no "/"
inline constexpr std::size_t kMaxSliceEndpoints = 1000;                   // the API server's limit

// The objects that one service of the clusterset should have in this cluster's API.
struct DesiredService {
  std::optional<api::ServiceImport> import;             // its conditions have no lastTransitionTime
  std::optional<api::Service> service;                  // only with `derive`
  std::map<api::ObjectKey, api::EndpointSlice> slices;  // only with `derive`
};

struct DesiredInputs {
  std::string cluster;  // this cluster's id
  const Items<api::Namespace>& namespaces;
  const Items<api::Service>& services;  // has the derived Services with their virtual IPs
  std::set<std::string> families;       // of this cluster's pods; empty: unknown
  bool derive = false;                  // vip: clusterip
};
// Empty if the namespace does not exist.
[[nodiscard]] DesiredService desired_service(const DesiredInputs& inputs, const api::ObjectKey& key,
                                             const ClustersetService& service);

// "cw-<16 hex digits>": a DNS label for any name, the same in every cluster and version.
[[nodiscard]] api::ObjectKey derived_key(const api::ObjectKey& service);
// "cw-<16 hex digits>-<cluster>-<4 or 6>-<8 hex digits of the ports>-<part>".
[[nodiscard]] api::ObjectKey slice_key(const api::ObjectKey& service, const std::string& cluster,
                                       std::string_view family,
                                       const std::vector<api::SlicePort>& ports, unsigned part);
[[nodiscard]] bool ours(const api::ObjectMeta& meta);
// The virtual IPs of the derived Service. Empty before the API server has allocated them.
[[nodiscard]] std::vector<std::string> virtual_ips(const Items<api::Service>& services,
                                                   const api::ObjectKey& service);
// "IPv4" and "IPv6", as far as `prefixes` have them.
[[nodiscard]] std::set<std::string> families_of(const std::vector<Prefix>& prefixes);

// The stored Service `have` with the changes that `desired` requires. It is unchanged if it does
// what `desired` says, including fields that the API server filled in.
[[nodiscard]] api::Service overlaid(const api::Service& have, const api::Service& desired);

}  // namespace cw::discovery
