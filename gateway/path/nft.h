// The gateway's nft table (docs/protocol/datapath.md). Each chain is a function of its own. Pure.
//
// A packet from the tunnel reaches pods, and the gateway's own ports if a remote gateway sent it.
// It reaches no other service of the host on any address, neither directly nor through a NodePort
// or ClusterIP. A forwarded packet never carries a control or probe address into a tunnel or out of
// it. The only exceptions are nodes' probes through the gateway, and ICMP errors that a remote
// gateway itself sends to a pod.
//
// New connections to the feed are limited by source, before connection tracking. WireGuard has
// authenticated the source. The feed's door limits the open connections (gateway/feed/door.h).
#pragma once

#include "gateway/path/state.h"
#include "netlink/nft_table.h"

namespace cw::gateway {

[[nodiscard]] netlink::NftTable path_table(const PathInput& input);

}  // namespace cw::gateway
