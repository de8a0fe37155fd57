// A node's identity on cw-vx, derived from its underlay IP so that every node knows every other's
// without asking (docs/protocol/datapath.md, "cw-vx"). Pure.
#pragma once

#include "base/prefix.h"
#include "netlink/kernel.h"

namespace cw::routeagent {

// 02 + the first five bytes of SHA-256("causeway vxlan" || the address's 4 or 16 bytes).
[[nodiscard]] netlink::Mac vtep_mac(const IpAddress& underlay);
// fe80::/64 with the modified EUI-64 of `mac` (RFC 4291, appendix A).
[[nodiscard]] IpAddress link_local_of(const netlink::Mac& mac);
[[nodiscard]] inline IpAddress vtep_address(const IpAddress& underlay) {
  return link_local_of(vtep_mac(underlay));
}

}  // namespace cw::routeagent
