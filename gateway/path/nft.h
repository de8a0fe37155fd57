// The gateway's nft table, as `nft -f` text (docs/protocol/datapath.md). The whole table is
// replaced in one transaction. Pure.
//
// From the tunnel a packet reaches pods, and the gateway's own ports if a remote gateway sent it.
// No other service of the host is reachable, on any address: neither directly nor through a
// NodePort or ClusterIP. A forwarded packet never carries a control or probe address into a tunnel
// or out of it. The only exceptions are nodes' probes through the gateway, and ICMP errors that a
// remote gateway itself sends to a pod.
//
// New connections to the feed are limited by source, before connection tracking. WireGuard has
// authenticated the source. How many are open the feed's door limits (gateway/feed/door.h).
#pragma once

#include <string>

#include "gateway/path/state.h"

namespace cw::gateway {

[[nodiscard]] std::string nft_table(const PathInput& input);

}  // namespace cw::gateway
