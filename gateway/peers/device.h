// The WireGuard device that follows from the roster: who carries which remote prefix, and the whole
// DeviceSpec. Every remote gateway is a peer, whether it carries something or not, so that its
// tunnel is up before it is needed. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/homing/homing.h"
#include "gateway/peers/roster.h"
#include "tunnel/driver.h"

namespace cw::gateway {

// Remote prefix -> the remote gateway whose peer has it as an allowed IP. A map: each prefix has
// one owner.
using Placement = std::map<Prefix, GatewayId>;

// The remote gateways as we see them.
struct Standings {
  std::set<GatewayId> working;   // by our probes
  std::set<GatewayId> draining;  // by their own word
  // By the word of the nodes that send (gateway/claim_board.h).
  std::map<Prefix, GatewayId> claimed = {};
  friend bool operator==(const Standings&, const Standings&) = default;
};

// The gateways of each cluster as api::home_order() takes them. With many prefixes of gateways' own
// nodes this is most of the work of a placement, and it changes with the clusters only.
using Homes = std::map<std::string, std::vector<api::GatewayView>>;
[[nodiscard]] Homes homes_of(const std::map<std::string, RemoteCluster>& clusters);

// Where every remote prefix is: at the gateway that its node claims, if that works. Else, and for
// prefixes without a claim, at the first gateway of the prefix's order that works; one that drains
// comes after the others. Where no gateway works the prefix stays where it was (`before`). There is
// no hold-down here: the node chooses (routeagent/choose), and a prefix that no node claims has no
// traffic. With the same clusters and standings, the placement of a placement is the same again.
[[nodiscard]] Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                     const Homes& homes, const Standings& standings,
                                     const Placement& before);
[[nodiscard]] Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                     const Standings& standings, const Placement& before);
// The same of one prefix of `cluster`, whose gateways are `homes`. `current`: where it is now;
// null: nowhere. None: the cluster has no gateway.
[[nodiscard]] std::optional<GatewayId> owner_of(const std::string& cluster, const Prefix& prefix,
                                                const std::vector<api::GatewayView>& homes,
                                                const Standings& standings,
                                                const GatewayId* current);

struct DeviceInput {
  tunnel::Key private_key;
  std::uint16_t listen_port = 0;
  std::uint16_t keepalive_seconds = 0;
  const std::map<std::string, RemoteCluster>& clusters;
  const Placement& placement;
  const std::map<GatewayId, Endpoint>& endpoints;  // chosen; absent: leave it
};
[[nodiscard]] tunnel::DeviceSpec desired_device(const DeviceInput& input);

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

// The device is as wanted: the same peers with the same allowed IPs, keepalive, port and mark.
// Endpoints may differ: peers roam.
[[nodiscard]] bool matches(const tunnel::DeviceStatus& device, const tunnel::DeviceSpec& spec);

}  // namespace cw::gateway
