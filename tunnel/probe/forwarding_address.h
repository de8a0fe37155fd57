// Addresses of probes through a gateway (docs/protocol/probe.md). Both sides derive them from
// public keys, so none is configured or announced. The IPv4 ones are in 240.0.0.0/4, which no
// network routes. They appear on cw-vx and cw-wg only. Pure.
#pragma once

#include "base/prefix.h"
#include "tunnel/key.h"

namespace cw::tunnel {

// A gateway's own address inside the tunnels. IPv6: the control address. IPv4: 240.0.0.0/4 with
// bits of SHA-256("causeway probe address" || key).
[[nodiscard]] IpAddress probe_address(const Key& gateway, Family family);

// The address to which a node sends so that `gateway` of its own cluster forwards the probe to
// `remote`. The gateway translates it. It follows from SHA-256("causeway through address" ||
// gateway || remote), in fd00::/8 or 240/4.
[[nodiscard]] IpAddress forwarding_address(const Key& gateway, const Key& remote, Family family);

}  // namespace cw::tunnel
