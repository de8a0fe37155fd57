// Where every remote prefix is placed: at which remote gateway's peer it is an allowed IP. Follows
// from the claims of the nodes that have the prefixes and, without a claim, from the home order.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "homing/order.h"
#include "homing/remote.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

// Remote prefix -> the remote gateway whose peer has it as an allowed IP. A map: each prefix has
// one owner.
using Placement = std::map<Prefix, GatewayId>;

// The remote gateways as we see them.
struct Standings {
  std::set<GatewayId> working;   // by our probes
  std::set<GatewayId> draining;  // by their own word
  // By the word of the nodes that send (homing/claim_table.h).
  std::map<Prefix, GatewayId> claimed = {};
  friend bool operator==(const Standings&, const Standings&) = default;
};

// The gateways of each cluster as home_order() takes them. With many prefixes of gateways'
// own nodes this is most of the work of a placement, and it changes with the clusters only.
using Homes = std::map<std::string, std::vector<GatewayView>>;
[[nodiscard]] Homes homes_of(const std::map<std::string, RemoteCluster>& clusters);

// Where every remote prefix is: at the gateway that its node claims, if that works. Else, and for
// prefixes without a claim, at the first gateway of the prefix's order that works; one that drains
// comes after the others. Where no gateway works the prefix stays where it was (`before`). There is
// no hold-down here: the node chooses (homing/choose.h), and a prefix that no node claims has no
// traffic. With the same clusters and standings, the placement of a placement is the same again.
[[nodiscard]] Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                     const Homes& homes, const Standings& standings,
                                     const Placement& before);
[[nodiscard]] Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                     const Standings& standings, const Placement& before);
// The same of one prefix of `cluster`, whose gateways are `homes`. `current`: where it is now;
// null: nowhere. None: the cluster has no gateway.
[[nodiscard]] std::optional<GatewayId> owner_of(const std::string& cluster, const Prefix& prefix,
                                                const std::vector<GatewayView>& homes,
                                                const Standings& standings,
                                                const GatewayId* current);

// What moves from one placement to the next: new owner -> prefixes that another gateway had.
[[nodiscard]] std::map<GatewayId, std::set<Prefix>> moves(const Placement& before,
                                                          const Placement& after);

// The same for people: who lost how many prefixes to whom, and why.
struct Move {
  GatewayId from;
  GatewayId to;
  std::string reason;
  bool broke = false;  // `from` does not work
  std::size_t prefixes = 0;
};
[[nodiscard]] std::vector<Move> explained_moves(const Placement& before, const Placement& after,
                                                const Standings& now);

}  // namespace cw::homing
