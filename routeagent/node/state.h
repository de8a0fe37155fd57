// Everything the route agent wants in the kernel of its node, whole: what is not in it goes away
// (docs/protocol/datapath.md). A value: made by desired_state(), brought about by NodeReconciler.
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
// nothing. Without the overlay secret there is no state for cw-vx: a device that is there stays.
struct NodeState : netlink::State {
  // Others' packets that this host must not forward only because we need forwarding; none: it is
  // not our matter (a CNI's node).
  std::optional<ForwardInputs> forward;
  netlink::RulePriorities priorities = {};
  std::vector<Prefix> pods;  // of this node: their packets must reach our tables
  // The kind of the tunnel device that a gateway left here when it moved to another node; empty:
  // none did. The device goes, with its key and what leads to it.
  std::string stray_tunnel;
  // Inputs that could not be honoured, one sentence each; the rest holds without them.
  std::vector<std::string> problems;
  // Nodes that this one should exchange frames with and does not.
  std::vector<LeftOut> left_out;
};

}  // namespace cw::routeagent
