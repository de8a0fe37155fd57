// What the agent tells Closed: the prefixes of remote clusters, and the own prefixes of this
// cluster and this host.
#include "routeagent/agent.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

void Agent::close_remotes(const HostFacts& host) {
  // If one of these is missing, it is unknown which prefixes are this cluster's own.
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  if (!properties_.synced() || !nodes_.synced() || !gateways_.synced() || !peers_.synced() ||
      id == nullptr || id->value.empty()) {
    return;
  }
  std::vector<Prefix> pods;
  std::vector<Prefix> addresses;
  for (const auto& [key, node] : nodes_.items()) {
    pods.insert(pods.end(), node->pod_cidrs.begin(), node->pod_cidrs.end());
    for (const auto& ip : node->internal_ips) addresses.push_back(Prefix::host(ip));
  }
  for (const auto& [key, gateway] : gateways_.items()) {
    const auto& ip = gateway->spec.node_ip;
    if (!ip.is_unspecified()) addresses.push_back(Prefix::host(ip));
  }
  if (config_.overlay == OverlayMode::kWireguard) addresses.push_back(hop_network());
  std::vector<PeerPrefixes> peers;
  for (const auto& [key, peer] : peers_.items()) {
    const auto& spec = peer->spec;
    if (spec.cluster_id == own_cluster_.id()) continue;
    peers.push_back({spec.cluster_id, spec.unpaired, spec.allowed_cidrs, peer->status.cidrs});
  }
  std::vector<OwnPrefixes> own{{"pods of this cluster", PrefixSet(pods)},
                               {"a node of this cluster", PrefixSet(addresses)}};
  own.insert(own.end(), host.networks.begin(), host.networks.end());
  closed_.learn(peers, own);
}

}  // namespace cw::routeagent
