#include "routeagent/closed/guard.h"

#include <fmt/format.h>

namespace cw::routeagent {

namespace {

// Postrouting sees forwarded and local packets, with the destination after every translation. `lo`
// is exempt: it leads to this host itself, and no pod sends by it. Prerouting at raw - 10 is before
// connection tracking, so forged packets take no entries.
netlink::NftTable closed_table(std::span<const Prefix> closed) {
  const auto ours =
      fmt::format("{{ \"lo\", \"{}\", \"{}\" }}", netlink::kVxlanLink, netlink::kTunnelLink);
  const auto tunnels = fmt::format("meta mark {:#x} accept", netlink::kTunnelMark);
  netlink::NftTable table{std::string(netlink::kClosedNftTable), {"leaving", "arriving"}};
  add_prefix_sets(table, "remote", closed);
  table.chains = {{"to-remote",
                   "filter hook postrouting priority srcnat + 50",
                   {fmt::format("oifname {} accept", ours), tunnels,
                    "ip daddr @remote4 counter name \"leaving\" drop",
                    "ip6 daddr @remote6 counter name \"leaving\" drop"}},
                  {"from-remote",
                   "filter hook prerouting priority raw - 10",
                   {fmt::format("iifname {} accept", ours), tunnels,
                    "ip saddr @remote4 counter name \"arriving\" drop",
                    "ip6 saddr @remote6 counter name \"arriving\" drop"}}};
  return table;
}

}  // namespace

netlink::State guard_state(std::span<const Prefix> closed, const netlink::RulePriorities& rules) {
  netlink::State state;
  if (closed.empty()) return state;
  state.rules = netlink::bypass_rules(rules);
  for (const auto& prefix : closed) {
    state.rules.insert({prefix.family(), rules.closed(), 0, {}, prefix, true});
  }
  state.nft = closed_table(closed);
  return state;
}

netlink::State renumbered(netlink::State state, const netlink::RulePriorities& from,
                          const netlink::RulePriorities& to) {
  if (from == to) return state;
  std::set<netlink::Rule> rules;
  for (auto rule : state.rules) {
    rule.priority += to.bypass - from.bypass;
    if (rule.go_to != 0) rule.go_to += to.bypass - from.bypass;
    rules.insert(std::move(rule));
  }
  state.rules = std::move(rules);
  return state;
}

netlink::RulePriorities free_priorities(netlink::Kernel& kernel,
                                        const netlink::RulePriorities& wanted) {
  const auto ours = kernel.dump_rules();
  return ours ? netlink::behind_routes(wanted, *ours) : wanted;
}

}  // namespace cw::routeagent
