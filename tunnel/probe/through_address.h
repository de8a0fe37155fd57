// Addresses of probes through a gateway (docs/protocol/probe.md). Both sides derive them from
// public keys, so nothing is configured or announced. IPv4 ones are of 240.0.0.0/4, which nobody
// routes: they are seen on cw-vx and cw-wg only. Pure.
#pragma once

#include "base/prefix.h"
#include "tunnel/key.h"

namespace cw::tunnel {

// A gateway's own address inside the tunnels: the control address, or for IPv4 240.0.0.0/4 with
// 28 bits of SHA-256("causeway probe address" || key).
[[nodiscard]] IpAddress probe_address(const Key& gateway, Family family);

// What a node sends to so that `gateway` of its own cluster forwards it to `remote`: the gateway
// translates it. Of SHA-256("causeway through address" || gateway || remote): fd00::/8 or 240/4.
[[nodiscard]] IpAddress through_address(const Key& gateway, const Key& remote, Family family);

}  // namespace cw::tunnel
