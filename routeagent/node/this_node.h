// What is special about this node: a gateway of its own, one that left, pods that nothing serves.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "routeagent/node/desired.h"

namespace cw::routeagent {

// On a gateway's node: the remote gateways through its own tunnel, from the gateway's addresses.
// They tell the path MTU and no more: the kernel forwards no packet of the host itself. `via` means
// nothing.
[[nodiscard]] std::vector<ForwardingTarget> own_targets(const NodeInputs& inputs);
// The gateway on this node as cw-wg has its addresses; none: there is none yet.
[[nodiscard]] const LocalGateway* own_gateway(const NodeInputs& inputs);
// A gateway whose device and key are on this node although its Gateway object names another one.
[[nodiscard]] const LocalGateway* moved_gateway(const NodeInputs& inputs);
// One sentence for each reason why pods of this node are not served, with the remedy.
[[nodiscard]] std::vector<std::string> unserved_pods(const NodeInputs& inputs);

}  // namespace cw::routeagent
