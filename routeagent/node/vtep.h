// MACs, addresses and the VNI of cw-vx (docs/protocol/datapath.md, "cw-vx"). A node derives another
// node's MAC from that node's underlay address and the cluster's overlay secret, so no node has to
// ask. Without the secret a sender can guess neither the MAC that a node accepts nor the VNI. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "base/prefix.h"
#include "netlink/kernel.h"

namespace cw::routeagent {

// The overlay secret: the entry `key` of Secret causeway-overlay-key.
using OverlayKey = std::array<std::uint8_t, 32>;

// 02 and the first five bytes of HMAC-SHA256(key, "causeway overlay mac v1" || the address).
[[nodiscard]] netlink::Mac vtep_mac(const OverlayKey& key, const IpAddress& underlay);
// 1 + (the first four bytes of HMAC-SHA256(key, "causeway overlay vni v1") modulo 2^24 - 1).
[[nodiscard]] std::uint32_t overlay_vni(const OverlayKey& key);
// fe80::/64 with the modified EUI-64 of `mac` (RFC 4291, appendix A).
[[nodiscard]] IpAddress link_local_of(const netlink::Mac& mac);
[[nodiscard]] inline IpAddress vtep_address(const OverlayKey& key, const IpAddress& underlay) {
  return link_local_of(vtep_mac(key, underlay));
}

// The node's own address on cw-vx where no other address is a node's for certain. IPv4: 240.0.0.0/4
// with the first bytes of HMAC-SHA256(key, "causeway overlay address v1" || the underlay address).
// IPv6: fd and 15 bytes of it. Of 1,000 nodes two have the same IPv4 address with a chance of 0.2
// %.
[[nodiscard]] IpAddress node_address(const OverlayKey& key, const IpAddress& underlay,
                                     Family family);

}  // namespace cw::routeagent
