// The claims that pass through a gateway (tunnel/claims/claims.h): those of its own nodes, which it
// tells to the remote gateways, and those of remote clusters, which it obeys. Who answers a request
// holds what he echoes, so an echo is the confirmation; a node's claim is "settled" when every
// remote gateway that works has confirmed it. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gateway/peers/roster.h"
#include "tunnel/claims/claims.h"
#include "tunnel/probe/packet.h"

namespace cw::gateway {

class ClaimBoard {
 public:
  // What may be claimed: our cluster's prefixes by our nodes; theirs by remote clusters, each for
  // gateways that it has. Claims of others are forgotten.
  void set_world(const std::vector<Prefix>& own,
                 const std::map<std::string, RemoteCluster>& clusters);

  // A node's request; fills the reply. The remote gateways that must hear of it now.
  std::set<GatewayId> from_node(const tunnel::Probe& request, const std::set<GatewayId>& working,
                                tunnel::Probe& reply);
  // A request of a gateway of `cluster`; fills the reply. Whether remote() changed.
  bool from_remote(const std::string& cluster, const tunnel::Probe& request, tunnel::Probe& reply);
  // Our request to a remote gateway, and its answer.
  void fill(const GatewayId& to, tunnel::Probe& request);
  void hear(const GatewayId& from, const tunnel::Probe& reply);

  // Remote prefixes and the gateway that each is claimed for.
  [[nodiscard]] std::map<Prefix, GatewayId> remote() const;
  // The prefixes that our nodes claim for this gateway of ours, towards any cluster.
  [[nodiscard]] std::set<Prefix> carried_by(std::uint32_t ordinal) const;
  // The prefixes that our nodes claim for any gateway.
  [[nodiscard]] std::set<Prefix> claimed() const;

 private:
  [[nodiscard]] bool settled(const tunnel::ClaimKey& key, const tunnel::Claim& claim,
                             const std::set<GatewayId>& working) const;

  std::set<Prefix> own_prefixes_;
  std::map<std::string, RemoteCluster> clusters_;
  std::map<std::string, tunnel::Claims> own_;  // by remote cluster: each has thousands
  std::uint64_t own_version_ = 1;              // another one after each change
  tunnel::Claims remote_;
  tunnel::ClaimSender sender_;
};

}  // namespace cw::gateway
