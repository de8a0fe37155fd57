// The kernel of a worker node in memory, and access to a node's state by name.
#pragma once

#include <algorithm>
#include <string>

#include "netlink/fake/fake_kernel.h"
#include "routeagent/node/state.h"

namespace cw::routeagent {

class NodeKernel final : public netlink::FakeKernel {
 public:
  NodeKernel() {
    links["eth0"] = {2, "eth0", "", 1500, true, {}};
    addresses = {{"eth0", *IpAddress::parse("10.0.0.3"), 24}};
    sysctls = {{"ipv4/ip_forward", "0"}, {"ipv6/conf/all/forwarding", "0"}};
  }
  void add_tunnel() { links["cw-wg"] = {7, "cw-wg", "wireguard", 1420, true, {}}; }
};

// The device of that name in the state; an empty one if it is not wanted.
inline netlink::LinkSpec link_of(const NodeState& state, const std::string& name) {
  for (const auto& link : state.links) {
    if (link.name == name) return link;
  }
  return {};
}
inline netlink::LinkSpec cw_vx(const NodeState& state) { return link_of(state, "cw-vx"); }
inline std::string nft_of(const NodeState& state) { return netlink::nft_text(*state.nft); }

}  // namespace cw::routeagent
