// The guard in the kernel: two layers that stop the traffic of closed prefixes outside of our
// devices. Each is enough alone. One is a policy rule per prefix (priority 93, unreachable),
// behind our own routes. The other is the nft table `causeway-closed`. It judges packets when they
// leave, so it also stops those that another program's rule or address translation leads past our
// rules. It also drops packets that arrive from a closed prefix by another device. Only the
// tunnel's own outer packets pass both layers: a remote gateway may stand inside a closed prefix.
// Pure.
#pragma once

#include <span>

#include "netlink/owners.h"
#include "netlink/state.h"

namespace cw::routeagent {

// The state for netlink::closed_owner(). No prefix of `closed` contains another one. Without
// prefixes the state is empty.
[[nodiscard]] netlink::State guard_state(std::span<const Prefix> closed,
                                         const netlink::RulePriorities& rules = {});

// `state`, made with `from`, as guard_state() makes it with `to`.
[[nodiscard]] netlink::State renumbered(netlink::State state, const netlink::RulePriorities& from,
                                        const netlink::RulePriorities& to);
// Where the guard's rules may stand now (netlink::behind_routes()): at `wanted`, unless rules that
// carry traffic still stand behind. Reads the kernel; if that fails, `wanted`.
[[nodiscard]] netlink::RulePriorities free_priorities(netlink::Kernel& kernel,
                                                      const netlink::RulePriorities& wanted);

}  // namespace cw::routeagent
