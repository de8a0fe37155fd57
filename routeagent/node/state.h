// Everything the route agent wants in the kernel of its node, whole: what is not in it goes away
// (docs/protocol/datapath.md). A value: made by desired_state(), applied by reconcile().
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/owner.h"
#include "routeagent/node/forward_policy.h"
#include "routeagent/node/overlay.h"

namespace cw::routeagent {

// The WireGuard device of `overlay: wireguard`: the tunnel driver makes it, the rest is here.
struct HopLink {
  std::string name;
  netlink::Address address;
  std::uint32_t mtu = 0;
  friend bool operator==(const HopLink&, const HopLink&) = default;
};

using RouteKey = std::pair<std::uint32_t, Prefix>;  // table, destination

struct NodeState {
  // Both families' forwarding, written first; they are never set back.
  std::map<std::string, std::string> sysctls;
  std::optional<HopLink> hop;  // none: `overlay: vxlan`
  // The VXLAN device. None: the overlay secret is not known, so nothing of the overlay is made; a
  // device that is there stays as it is.
  std::optional<netlink::VxlanSpec> vxlan;
  netlink::Address link_local;  // its only address
  // Others' packets that this host must not forward only because we need forwarding; none: it is
  // not our matter (a CNI's node).
  std::optional<ForwardInputs> forward;
  std::map<std::string, std::string> link_sysctls;  // of the VXLAN device, once it is there
  std::map<IpAddress, netlink::Mac> neighbours;
  std::map<netlink::Mac, IpAddress> fdb;
  std::string nft;  // the text of table `causeway`
  // False until the gateways have been probed: nexthops and routes to remote clusters that are in
  // the kernel are then left as they are, so that a restart of the agent changes nothing.
  bool decided = false;
  std::map<std::uint32_t, netlink::Nexthop> nexthops;
  std::map<RouteKey, netlink::Route> routes;
  std::set<netlink::Rule> rules;
  netlink::RulePriorities priorities = {};
  std::vector<Prefix> pods;  // of this node: their packets must reach our tables
  // The kind of the tunnel device that a gateway left here when it moved to another node; empty:
  // none did. The device goes, with its key and what leads to it.
  std::string stray_tunnel;
  // Inputs that could not be honoured, one sentence each; the rest holds without them.
  std::vector<std::string> mistakes;
  // Nodes that this one should exchange frames with and does not.
  std::vector<LeftOut> left_out;
};

}  // namespace cw::routeagent
