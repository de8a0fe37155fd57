#include "netlink/owners.h"

#include <algorithm>

namespace cw::netlink {

bool Owner::has(const Rule& rule) const {
  if (is_bypass(rule)) return false;
  if (rule.unreachable) return refusals;
  const auto table = tables.find(rule.table);
  return table != tables.end() && table->second.empty();
}

bool Owner::has(const Nexthop& nexthop) const {
  return nexthop_table != 0 && nexthop.id >= kNexthopBase && nexthop.id < kNexthopBase + 65536;
}

Owner node_owner() {
  Owner owner{std::string(kNodeNftTable)};
  owner.tables = {{kFromTunnelTable, ""}, {kToRemoteTable, ""}};
  owner.nexthop_table = kToRemoteTable;
  owner.bypass = true;
  owner.links = {{std::string(kVxlanLink), {"vxlan"}},
                 {std::string(kHopLink), {"wireguard", "tun"}}};
  return owner;
}

Owner gateway_owner() {
  Owner owner{std::string(kGatewayNftTable)};
  owner.tables = {{kMainTable, std::string(kTunnelLink)}, {kTransitTable, ""}};
  owner.routes_at_once = kRoutesAtOnce;
  return owner;
}

Owner closed_owner() {
  Owner owner{std::string(kClosedNftTable)};
  owner.refusals = true;
  owner.bypass = true;
  return owner;
}

std::set<Rule> bypass_rules(const RulePriorities& rules) {
  std::set<Rule> all;
  for (const auto family : {Family::kV4, Family::kV6}) {
    Rule bypass{family, rules.bypass, 0, {}};
    bypass.mark = kTunnelMark;
    bypass.go_to = rules.landing();
    Rule landing{family, rules.landing(), 0, {}};
    landing.nop = true;
    all.insert({bypass, landing});
  }
  return all;
}

bool is_bypass(const Rule& rule) { return rule.nop || rule.go_to != 0; }

bool needs_bypass(const Rule& rule, const Rule& bypass) {
  const RulePriorities priorities{bypass.nop ? bypass.priority - RulePriorities{0}.landing()
                                             : bypass.priority};
  if (rule.unreachable) return rule.priority == priorities.closed();
  return rule.table == kToRemoteTable && rule.priority == priorities.to_remote();
}

std::uint32_t last_rule(std::span<const Rule> rules, std::uint32_t table) {
  std::uint32_t last = 0;
  for (const auto& rule : rules) {
    if (rule.table == table) last = std::max(last, rule.priority);
  }
  return last;
}

RulePriorities behind_transit(const RulePriorities& wanted, std::uint32_t transit) {
  if (transit <= wanted.to_remote()) return wanted;
  return {transit - RulePriorities{0}.transit()};
}

RulePriorities behind_routes(const RulePriorities& wanted, std::span<const Rule> rules) {
  const auto transit = last_rule(rules, kTransitTable);
  const auto to_remote = last_rule(rules, kToRemoteTable);
  if (std::max(transit, to_remote) <= wanted.closed()) return wanted;
  if (to_remote > transit) return {to_remote - RulePriorities{0}.to_remote()};
  return {transit - RulePriorities{0}.transit()};
}

}  // namespace cw::netlink
