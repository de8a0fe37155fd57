// Special cases of this node: a gateway of its own, a gateway that moved away, pods that no remote
// cluster reaches. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "routeagent/node/desired.h"

namespace cw::routeagent {

// On a gateway's node: targets for probes through its own tunnel, from the gateway's addresses.
// They tell the path MTU only, because Linux does not forward the host's own packets. `via` is not
// set.
[[nodiscard]] std::vector<ForwardingTarget> own_targets(const Seen& seen);
// The gateway on this node, once cw-wg has its addresses; nullptr before.
[[nodiscard]] const LocalGateway* own_gateway(const Seen& seen);
// A gateway whose device and key are on this node although its TunnelGateway object names another
// node; nullptr: none.
[[nodiscard]] const LocalGateway* moved_gateway(const Seen& seen);
// Addresses where pods of this host are, as its kernel shows them, each with the device that leads
// there:
//   * single addresses that the host routes to a veth device. A CNI without a bridge has one such
//     route per pod. `underlay_link` is left out: the host itself may be behind a veth.
//   * the host's addresses on a bridge with veth ports, but only while nothing on this host lies in
//     the node's own prefixes of that family. Other programs have such bridges, too.
[[nodiscard]] std::vector<std::pair<IpAddress, std::string>> pods_of(
    std::span<const netlink::Link> links, std::span<const netlink::Address> addresses,
    const netlink::Connected& connected, const std::string& underlay_link, const NodeView& self);
// One sentence for each reason why pods of this node are not served, with the remedy.
[[nodiscard]] std::vector<std::string> unserved_pods(const Seen& seen);

}  // namespace cw::routeagent
