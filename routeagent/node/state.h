// Everything that the route agent wants in the kernel of its node (docs/protocol/datapath.md).
// NodeReconciler removes objects of the agent that are not in it. A value, made by desired_state().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "netlink/owner.h"
#include "netlink/state.h"
#include "routeagent/node/forward_policy.h"
#include "routeagent/node/overlay.h"

namespace cw::routeagent {

// `decided` is false until the gateways have been probed, so that a restart of the agent changes
// nothing. Without the overlay secret cw-vx is in `left_links`: an existing device stays.
struct NodeState : netlink::State {
  // What this host may forward if only Causeway needs forwarding; none: no limit (a CNI's node).
  std::optional<ForwardInputs> forward;
  netlink::RulePriorities priorities = {};
  std::vector<Prefix> pods;  // of this node: their packets must reach our tables
  // The kind of the tunnel device that a gateway left here when it moved to another node; empty:
  // none. The device is removed, with its key and the gateway's other objects.
  std::string stray_tunnel;
  // One sentence for each input that is wrong. The rest of the state holds without it.
  std::vector<std::string> problems;
  // Nodes that this one should exchange frames with and does not.
  std::vector<LeftOut> left_out;
};

}  // namespace cw::routeagent
