// Where every remote prefix is placed: at which remote gateway's peer it is an allowed IP. Follows
// from the claims of the nodes that have the prefixes and, without a claim, from the home order.
// All prefixes of a node and family are placed together. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "homing/claims.h"
#include "homing/order.h"
#include "homing/remote.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

// Remote prefix -> the remote gateway whose peer has it as an allowed IP. A map: each prefix is at
// one peer.
using Placement = std::map<Prefix, GatewayId>;

// The remote gateways as we see them.
struct Standings {
  std::set<GatewayId> working;   // by our probes
  std::set<GatewayId> draining;  // by their own word
  // By the word of the nodes that send (homing/claim_table.h).
  std::map<ClaimKey, GatewayId> claimed = {};
  friend bool operator==(const Standings&, const Standings&) = default;
};

// The prefixes of one remote node and family, and the gateways of its cluster in its home order.
struct Home {
  std::vector<Prefix> prefixes;
  std::vector<std::uint32_t> order;
};
// All of them. This is most of the work of a placement, and it changes with the clusters only.
using Homes = std::map<ClaimKey, Home>;
[[nodiscard]] Homes homes_of(const std::map<std::string, RemoteCluster>& clusters);

// Where every remote prefix is: at the gateway that its node claims, if that works. Else, and for
// nodes without a claim, at the first gateway of the home order that works; one that drains comes
// after the others. Where no gateway works the prefix stays where it was (`before`). There is no
// hold-down here: the node chooses (homing/choose.h), and a node that claims nothing has no
// traffic. With the same homes and standings, the placement of a placement is the same again.
[[nodiscard]] Placement placement_of(const Homes& homes, const Standings& standings,
                                     const Placement& before);
[[nodiscard]] inline Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                            const Standings& standings, const Placement& before) {
  return placement_of(homes_of(clusters), standings, before);
}
// The same of one prefix. `order`: of its Home. `current`: where it is now; null: nowhere. None:
// the cluster has no gateway.
[[nodiscard]] std::optional<GatewayId> carrier_of(const ClaimKey& key,
                                                  const std::vector<std::uint32_t>& order,
                                                  const Standings& standings,
                                                  const GatewayId* current);

// What moves from one placement to the next: new carrier -> prefixes that another gateway had.
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
                                                const Standings& now, const Homes& homes);

}  // namespace cw::homing
