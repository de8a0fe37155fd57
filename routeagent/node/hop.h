// The hop between nodes and gateways inside WireGuard (`overlay: wireguard`). Every node has a
// device cw-nd with a peer for each node that it exchanges frames with. cw-vx runs inside it,
// between addresses that follow from the nodes' public keys (docs/protocol/datapath.md, "cw-nd").
// Pure.
#pragma once

#include <cstdint>

#include "base/prefix.h"
#include "routeagent/node/desired.h"
#include "tunnel/driver.h"

namespace cw::routeagent {

// All addresses of hops: fd43:5743:6e64::/64.
[[nodiscard]] Prefix hop_network();
// The node's address in it. Its last 64 bits are the first 64 bits of SHA-256("causeway node
// address" || public key).
[[nodiscard]] IpAddress hop_address(const tunnel::Key& node);
// The MTU of cw-nd: a packet of this size fits into one packet of the underlay.
[[nodiscard]] std::uint32_t hop_mtu(std::uint32_t underlay_mtu, Family underlay);

// The device of this node, with its private key. A worker's peers are the gateway nodes; a gateway
// node's peers are all other nodes. Nodes that are left out (node/overlay.h) are no peers.
[[nodiscard]] tunnel::DeviceSpec desired_hop(const Seen& seen, const tunnel::Key& own,
                                             std::uint16_t port);

}  // namespace cw::routeagent
