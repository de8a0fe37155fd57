#include "cli/own_cluster.h"

#include "cli/pod_network.h"

namespace cw::cli {

Result<OwnCluster> own_cluster(Session& session) {
  OwnCluster own;
  auto id = session.cluster_id();
  if (!id) return fail(std::move(id.error()));
  own.id = std::move(*id);
  std::vector<api::Service> services;
  std::vector<api::EndpointSlice> slices;
  auto good = read_all(session, own.gateways, own.peers, services, slices);
  if (!good) return fail(std::move(good.error()));
  auto network = pod_network_objects(session);
  if (!network) return fail(std::move(network.error()));
  for (const auto& [key, node] : network->nodes) own.nodes.push_back(*node);
  own.pods = prefixes::pod_network(*network).all();
  own.ranges = prefixes::ranges_of(*network);
  const auto ranges = session.list<api::ServiceCidr>();
  // Kubernetes before 1.33 has no ServiceCIDRs.
  if (!ranges && ranges.error().code != Errc::kNotFound) return fail(ranges.error());
  if (ranges) {
    for (const auto& range : *ranges) {
      own.services.insert(own.services.end(), range.cidrs.begin(), range.cidrs.end());
    }
  }
  for (const auto& service : services) {
    for (const auto& ip : api::addresses_of(service.spec.cluster_ips)) {
      own.services.push_back(Prefix::host(ip));
    }
  }
  for (const auto& slice : slices) {
    if (!api::of_api_server(slice)) continue;
    for (const auto& endpoint : slice.endpoints) {
      own.api_servers.insert(own.api_servers.end(), endpoint.addresses.begin(),
                             endpoint.addresses.end());
    }
  }
  return own;
}

}  // namespace cw::cli
