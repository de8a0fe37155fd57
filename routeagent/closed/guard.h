// The guard in the kernel: two layers, each enough alone, that stop the traffic of closed prefixes
// outside of our devices. One is a policy rule per prefix (priority 7488, unreachable), behind our
// own routes. The other is the nft table `causeway-closed`: it judges packets when they leave, so
// it also stops those that another program's rule or address translation sends past our rules, and
// it drops packets that arrive with such a source from anywhere else. Only the tunnel's own outer
// packets pass both layers: a remote gateway may stand inside a prefix that is closed. Pure.
#pragma once

#include <span>

#include "netlink/owners.h"
#include "netlink/state.h"

namespace cw::routeagent {

// What netlink::closed_owner() wants. `closed`: none contains another. Without any: nothing.
[[nodiscard]] netlink::State guard_state(std::span<const Prefix> closed,
                                         const netlink::RulePriorities& rules = {});

}  // namespace cw::routeagent
