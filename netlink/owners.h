// The owners of kernel objects on a node: the route agent, the guard of closed prefixes and the
// gateway. Each wants a state of its own (state.h). Marks (owner.h) tell an owner's objects from
// all others, so that a pass changes and removes the owner's objects only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::netlink {

struct Owner {
  std::string nft;  // its nft table
  // Its routing tables. With a device: only the routes of that table which lead to the device.
  std::map<std::uint32_t, std::string> tables = {};
  // The table whose routes use nexthop objects; 0: the owner has no nexthop objects.
  std::uint32_t nexthop_table = 0;
  bool refusals = false;  // the rules that refuse a destination are its own
  bool bypass = false;    // it shares the bypass rules with other owners
  // Its devices, and the kinds that they may have.
  std::map<std::string, std::set<std::string>> links = {};
  // How many routes a pass changes at most. If more differ, PassReport::more asks for another pass.
  std::size_t routes_at_once = std::numeric_limits<std::size_t>::max();

  // Whether the object is the owner's. Bypass rules are no single owner's.
  [[nodiscard]] bool has(const Rule& rule) const;
  [[nodiscard]] bool has(const Nexthop& nexthop) const;
};

// The route agent: cw-vx, cw-nd, tables 7485 and 7487, nexthop objects, nft table `causeway`.
//
// Table 7485, the tunnel's exit, is the route agent's although the gateway makes the tunnel:
// * Its next hops are nodes on cw-vx. They follow from the overlay secret and the nodes, and vanish
//   with that device. The pass that makes the device makes them again.
// * The tunnel device outlives the gateway's process. If one daemon is dead, the other one still
//   repairs its own layer: this table, or the gateway's nft table.
[[nodiscard]] Owner node_owner();

// The gateway: table 7486, its routes in the main table, nft table `causeway-gateway`. Its device
// is the tunnel driver's. A pass changes at most kRoutesAtOnce routes: remote clusters decide how
// many there are.
inline constexpr std::size_t kRoutesAtOnce = 1024;
[[nodiscard]] Owner gateway_owner();

// The guard of closed prefixes (docs/operations/fail-closed.md): the rules that refuse, nft table
// `causeway-closed`. It outlives both daemons, so it is an owner of its own.
[[nodiscard]] Owner closed_owner();

// The two rules of each family that take the tunnel's own packets past our other rules. The node's
// rules to remote clusters and those of closed prefixes need them. A pass removes them with the
// last rule that needs them.
[[nodiscard]] std::set<Rule> bypass_rules(const RulePriorities& rules);
[[nodiscard]] bool is_bypass(const Rule& rule);
// Whether `rule` needs the bypass rule `bypass`.
[[nodiscard]] bool needs_bypass(const Rule& rule, const Rule& bypass);

// The priority of the last rule of `rules`, which are ours, that looks up `table`. 0: none does.
[[nodiscard]] std::uint32_t last_rule(std::span<const Rule> rules, std::uint32_t table);
// Where rules that follow the gateway's transit rule may stand: at `wanted`, or at the priorities
// that belong to `transit` while that rule still stands behind `wanted`. The daemons of a node
// change their priorities one after the other, for example in an upgrade. A packet in transit that
// met the node's rules first would leave by the wrong gateway.
[[nodiscard]] RulePriorities behind_transit(const RulePriorities& wanted, std::uint32_t transit);
// The same for rules that refuse: they follow the transit rule and the node's rule to remote
// clusters, which are among `rules`.
[[nodiscard]] RulePriorities behind_routes(const RulePriorities& wanted,
                                           std::span<const Rule> rules);

}  // namespace cw::netlink
