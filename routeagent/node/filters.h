// What other programs' packet filters on this node may do to pods' packets. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "netlink/kernel.h"

namespace cw::routeagent {

// The priority of our chain that keeps pods' sources (node/nft.cc): srcnat - 10.
inline constexpr std::int32_t kExemptionPriority = 90;

// One sentence for each chain, with what to set. It cannot be known from the chain alone whether it
// stops anything:
// * A policy that drops, in a table that names no device of ours. Docker and hardened hosts have
//   it; another rule of the table may accept pods' packets by their addresses.
// * A chain that translates sources before our exemption. Linux takes the first translation.
[[nodiscard]] std::vector<std::string> filter_doubts(std::span<const netlink::BaseChain> chains);

}  // namespace cw::routeagent
