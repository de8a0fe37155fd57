// The claims that pass through a gateway (homing/claims.h): those of its own nodes, which it
// tells to the remote gateways, and those of remote clusters, which it obeys. Each speaker was
// proven by its key (tunnel/probe/prober.h) and speaks for itself only: a node for itself, a
// gateway for the nodes of its cluster. The answer to a request echoes what is held, so an
// echo is the confirmation; a node's claim is "settled" when every remote gateway that works has
// confirmed it. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "homing/claim_flow.h"
#include "homing/claim_relay.h"
#include "homing/election.h"
#include "homing/probe_claims.h"
#include "homing/remote.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

class ClaimTable {
 public:
  // How a request came.
  struct Heard {
    bool fresh = false;  // the newest word of its speaker (tunnel/probe/freshness.h)
    TimePoint now{};
  };

  // Who may be claimed: each node in the families of its prefixes; theirs by the gateways of each
  // remote cluster, for gateways that it has. Claims of others are forgotten.
  void set_world(const std::map<std::string, std::vector<Prefix>>& nodes,
                 const std::map<std::string, RemoteCluster>& clusters, TimePoint now);

  // Who chooses the carrier of the cluster as a whole, if set_world() names it.
  void set_electorate(Electorate electorate, TimePoint now) {
    elections_.set_electorate(std::move(electorate), now);
  }

  // A request of `node`; fills the reply. Only a fresh one changes what is held. The remote
  // gateways that must hear of it soon: has_news() tells until when.
  std::set<GatewayId> from_node(const std::string& node, const Heard& heard,
                                const tunnel::Probe& request, const std::set<GatewayId>& working,
                                tunnel::Probe& reply);
  // A request of a remote gateway; fills the reply. What changed of remote().
  ClaimFlow::Claimed from_remote(const GatewayId& from, const Heard& heard,
                                 const tunnel::Probe& request, tunnel::Probe& reply);
  // Our request to a remote gateway, and its answer.
  void fill(const GatewayId& to, TimePoint now, tunnel::Probe& request);
  [[nodiscard]] bool has_news(const GatewayId& to, TimePoint now) const {
    return relay_.due(to, now);
  }
  void hear(const GatewayId& from, TimePoint now, const tunnel::Probe& reply);
  // The remote gateway started again, or does not know that it is us: it holds nothing of ours.
  void forget(const GatewayId& id);

  // Remote nodes and the gateway that each is claimed for.
  [[nodiscard]] ClaimFlow::Claimed remote() const;
  using Nodes = std::set<std::pair<std::string, Family>>;  // by Node name
  // Our nodes that claim this gateway of ours, towards any cluster.
  [[nodiscard]] Nodes carried_by(std::uint32_t ordinal) const;
  // Our nodes that claim any gateway.
  [[nodiscard]] Nodes claimed() const;

 private:
  struct Node {
    OwnerId id;
    std::set<Family> families;
  };
  struct Remote {
    Words words;  // of the gateways of that cluster
    Claim held;   // what follows from them
  };

  [[nodiscard]] bool settled(const ClaimKey& key, const Claim& claim,
                             const std::set<GatewayId>& working) const;
  // What a node says of its own prefixes, and of those of the cluster as a whole. The answer; none:
  // it may not speak of them.
  [[nodiscard]] std::optional<ProbeClaim> take_claim(const Node& node, const ProbeClaim& said,
                                                     bool fresh,
                                                     const std::set<GatewayId>& working);
  [[nodiscard]] std::optional<ProbeClaim> take_vote(const std::string& node, const ProbeClaim& said,
                                                    const Heard& heard,
                                                    const std::set<GatewayId>& working);
  // A claim that stands above `ours` somewhere: the node has to outbid it.
  [[nodiscard]] const Claim* above(const ClaimKey& key, const Claim& ours) const;
  [[nodiscard]] bool still_told(const ClaimKey& key, Remote& remote, TimePoint now) const;
  void forget_departed(TimePoint now);
  [[nodiscard]] bool is_old(const Share& share, TimePoint now) const;

  std::map<std::string, Node> nodes_;
  std::map<OwnerId, std::string> names_;    // of nodes_
  std::map<std::string, TimePoint> heard_;  // when each node last asked
  std::map<std::string, RemoteCluster> clusters_;
  std::map<std::string, std::set<Share>> shares_;  // of clusters_
  std::map<std::string, ClaimRelay::Claims> own_;  // by remote cluster: each has thousands
  Claims contested_;  // by remote gateways: higher claims than our nodes' own
  std::map<ClaimKey, Remote> remote_;
  ClaimRelay relay_;
  Elections elections_;
};

}  // namespace cw::homing
