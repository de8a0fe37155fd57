#include "routeagent/node/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/diff.h"
#include "base/log.h"
#include "netlink/owner.h"
#include "routeagent/closed/guard.h"
#include "routeagent/node/hold.h"
#include "routeagent/node/hop.h"
#include "routeagent/node/rule_order.h"

namespace cw::routeagent {

namespace {

using namespace netlink;  // NOLINT(google-build-using-namespace): this file is about its types

// The tables and rules that are the route agent's; 7486 is the gateway's.
constexpr std::array kTables = {kFromTunnelTable, kToRemoteTable};

bool is_ours(const Rule& rule) {
  return std::find(kTables.begin(), kTables.end(), rule.table) != kTables.end();
}

bool is_ours(const Nexthop& nexthop) {
  return nexthop.id >= kNexthopBase && nexthop.id < kNexthopBase + 65536;
}

std::string describe(const Route& route) {
  return fmt::format("route {} table {}", route.dst.to_string(), route.table);
}
std::string describe(const Rule& rule) {
  return fmt::format("rule {} {}", rule.family == Family::kV4 ? "IPv4" : "IPv6", rule.priority);
}

// One pass over the kernel. Dumps that fail leave their part for the next pass.
class Pass {
 public:
  Pass(Kernel& kernel, PassReport& report) : kernel_(kernel), report_(report) {}

  void step(Result<> done, const std::string& what) {
    ++report_.steps;
    if (!done) report_.errors.push_back(std::move(done.error()).context(what).text);
  }
  template <typename T>
  bool dumped(const Result<T>& dump, std::string_view what) {
    if (!dump) report_.errors.push_back(dump.error().context(what).text);
    return dump.has_value();
  }

  void sysctls(const std::map<std::string, std::string>& wanted) {
    for (const auto& [path, value] : wanted) {
      const auto now = kernel_.sysctl(path);
      if (!dumped(now, "sysctl " + path) || *now == value) continue;
      step(kernel_.set_sysctl(path, value), "set sysctl " + path);
    }
  }

  // The driver has made the device. Its old address goes when the node's key is another one.
  void hop(const HopLink& wanted) {
    const auto links = kernel_.all_links();
    const auto addresses = kernel_.all_addresses();
    if (!dumped(links, "dump links") || !dumped(addresses, "dump addresses")) return;
    const auto link = std::find_if(links->begin(), links->end(),
                                   [&](const auto& one) { return one.name == wanted.name; });
    if (link == links->end()) {
      report_.errors.push_back(fmt::format("there is no device {}", wanted.name));
      return;
    }
    if (!link->up || link->mtu != wanted.mtu) {
      step(kernel_.set_link(wanted.name, wanted.mtu, true), "set up " + wanted.name);
    }
    sysctls({{fmt::format("ipv6/conf/{}/disable_ipv6", wanted.name), "0"}});
    if (std::find(addresses->begin(), addresses->end(), wanted.address) == addresses->end()) {
      step(kernel_.replace_address(wanted.address), "address of " + wanted.name);
    }
    for (const auto& address : *addresses) {
      if (address.link != wanted.name || address == wanted.address ||
          !hop_network().contains(address.address)) {
        continue;
      }
      step(kernel_.remove_address(address), "remove an address of " + wanted.name);
    }
  }

  // Without `overlay: wireguard`, or at the end. A userspace program ends when its device goes.
  void no_hop() {
    const auto links = kernel_.all_links();
    if (!dumped(links, "dump links")) return;
    for (const auto& link : *links) {
      if (link.name != kHopLink || (link.kind != "wireguard" && link.kind != "tun")) continue;
      step(kernel_.remove_link(link.name, link.kind), "remove " + link.name);
    }
  }

  void device(const VxlanSpec& wanted, const Address& link_local,
              const std::map<std::string, std::string>& link_sysctls) {
    const auto now = kernel_.dump_vxlan(wanted.name);
    if (!dumped(now, "dump " + wanted.name)) return;
    const auto links = kernel_.all_links();
    if (!dumped(links, "dump links")) return;
    const auto link = std::find_if(links->begin(), links->end(), [&](const auto& candidate) {
      return candidate.name == wanted.name;
    });
    const bool up = link != links->end() && link->up;
    if (*now != wanted || !up) step(kernel_.replace_vxlan(wanted), "make " + wanted.name);
    sysctls(link_sysctls);  // before the address: one of them lets IPv6 in
    const auto addresses = kernel_.all_addresses();
    if (!dumped(addresses, "dump addresses")) return;
    if (std::find(addresses->begin(), addresses->end(), link_local) == addresses->end()) {
      step(kernel_.replace_address(link_local), "address of " + wanted.name);
    }
    // A device that got another MAC in place keeps the address of the old one.
    for (const auto& address : *addresses) {
      if (address.link != wanted.name || address == link_local) continue;
      step(kernel_.remove_address(address), "remove an address of " + wanted.name);
    }
  }

  Diff<IpAddress, Mac> neighbours(const NodeState& desired) {
    const std::string link(kVxlanLink);
    const auto now = kernel_.dump_neighbours(link);
    if (!dumped(now, "dump neighbours")) return {};
    std::map<IpAddress, Mac> actual;
    for (const auto& entry : *now) actual[entry.address] = entry.mac;
    auto plan = diff(actual, desired.neighbours);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& [address, mac] : *part) {
        step(kernel_.replace_neighbour(link, {address, mac}), "neighbour " + address.to_string());
      }
    }
    return plan;
  }

  Diff<Mac, IpAddress> fdb(const NodeState& desired) {
    const std::string link(kVxlanLink);
    const auto now = kernel_.dump_fdb(link);
    if (!dumped(now, "dump FDB")) return {};
    std::map<Mac, IpAddress> actual;
    for (const auto& entry : *now) actual[entry.mac] = entry.remote;
    auto plan = diff(actual, desired.fdb);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& [mac, remote] : *part) {
        step(kernel_.replace_fdb(link, {mac, remote}), "FDB entry of " + remote.to_string());
      }
    }
    return plan;
  }

  Diff<std::uint32_t, Nexthop> nexthops(const std::map<std::uint32_t, Nexthop>& wanted) {
    const auto now = kernel_.dump_nexthops();
    if (!dumped(now, "dump nexthops")) return {};
    std::map<std::uint32_t, Nexthop> actual;
    for (const auto& nexthop : *now) {
      if (is_ours(nexthop)) actual[nexthop.id] = nexthop;
    }
    auto plan = diff(actual, wanted);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& [id, nexthop] : *part) {
        step(kernel_.replace_nexthop(nexthop), fmt::format("nexthop {:#x}", id));
      }
    }
    return plan;
  }

  // Adds and changes; returns what is too many. Two routes of one table and destination (other
  // metrics) cannot both be ours by key: the odd one is in the second part of the answer.
  // `add_only`: what is there stays as it is.
  std::vector<Route> routes(std::uint32_t table, const std::map<RouteKey, Route>& wanted,
                            bool add_only = false) {
    const auto now = kernel_.dump_routes(table);
    if (!dumped(now, fmt::format("dump table {}", table))) return {};
    std::map<RouteKey, Route> actual;
    std::vector<Route> surplus;
    for (const auto& route : *now) {
      const RouteKey key{route.table, route.dst};
      const auto want = wanted.find(key);
      const bool exact = want != wanted.end() && want->second == route;
      if (actual.count(key) == 0) {
        actual[key] = route;
      } else if (exact) {
        surplus.push_back(std::exchange(actual[key], route));
      } else {
        surplus.push_back(route);
      }
    }
    auto plan = diff(actual, wanted);
    if (add_only) {
      plan.change.clear();
      plan.remove.clear();
      surplus.clear();
    }
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& [key, route] : *part) {
        const auto before = actual.find(key);
        step(kernel_.replace_route(route), describe(route));
        // Replacing goes by metric: one of another metric stays beside and must go.
        if (before != actual.end() && before->second.metric != route.metric) {
          surplus.push_back(before->second);
        }
      }
    }
    for (const auto& [key, route] : plan.remove) surplus.push_back(route);
    return surplus;
  }

  std::vector<Rule> rules(const std::set<Rule>& wanted) {
    const auto now = kernel_.dump_rules();
    if (!dumped(now, "dump rules")) return {};
    for (const auto& rule : wanted) {
      if (std::find(now->begin(), now->end(), rule) == now->end()) {
        step(kernel_.add_rule(rule), describe(rule));
      }
    }
    std::vector<Rule> surplus;
    for (const auto& rule : *now) {
      if (is_ours(rule) && wanted.count(rule) == 0) surplus.push_back(rule);
    }
    // Of those that take the tunnel past our rules, old ones go (the priorities moved). The last
    // ones stay while the guard of closed prefixes needs them.
    const bool needed =
        wanted.empty() &&
        std::any_of(now->begin(), now->end(), [](const Rule& rule) { return rule.unreachable; });
    for (const auto& rule : *now) {
      if (is_bypass(rule) && wanted.count(rule) == 0 && !needed) surplus.push_back(rule);
    }
    return surplus;
  }

  // Whether pods' packets get to our rules at all.
  void rule_order(const NodeState& desired, const std::vector<Prefix>& remotes) {
    const auto all = kernel_.all_rules();
    if (!dumped(all, "dump all rules")) return;
    std::map<std::pair<Family, std::uint32_t>, std::vector<Prefix>> seen;
    const auto destinations = [&](Family family, std::uint32_t table) {
      const auto [at, fresh] = seen.try_emplace({family, table});
      if (!fresh) return at->second;
      auto found = kernel_.all_destinations(family, table);
      if (dumped(found, fmt::format("dump table {}", table))) at->second = std::move(*found);
      return at->second;
    };
    const auto links = kernel_.all_links();
    if (!dumped(links, "dump links")) return;
    const auto before = rules_before(*all, desired.priorities, desired.pods, remotes, destinations,
                                     outside_of(*links));
    report_.rules_before = before.size();
    if (before.empty()) return;
    report_.complaints.push_back(rules_complaint(before, desired.priorities));
  }

  // What a gateway that moved away left here. Without the device its routes are gone, too.
  void stray_tunnel(const std::string& kind) {
    step(kernel_.remove_link(std::string(kTunnelLink), kind), "remove a moved gateway's device");
    const auto now = kernel_.dump_rules();
    if (!dumped(now, "dump rules")) return;
    for (const auto& rule : *now) {
      if (rule.table == kTransitTable) remove(std::vector{rule});
    }
    const auto listing = kernel_.dump_nft(std::string(kGatewayNftTable));
    if (dumped(listing, "list nft table") && !listing->empty()) {
      step(kernel_.remove_nft(std::string(kGatewayNftTable)), "remove a moved gateway's nft table");
    }
  }

  bool has_overlay() {
    const auto now = kernel_.dump_vxlan(std::string(kVxlanLink));
    return dumped(now, "dump " + std::string(kVxlanLink)) && now->has_value();
  }

  void remove(const std::vector<Rule>& rules) {
    for (const auto& rule : rules) step(kernel_.remove_rule(rule), "remove " + describe(rule));
  }
  void remove(const std::vector<Route>& routes) {
    for (const auto& route : routes) {
      step(kernel_.remove_route(route), "remove " + describe(route));
    }
  }
  void remove(const Diff<std::uint32_t, Nexthop>& plan) {
    for (const auto& [id, nexthop] : plan.remove) {
      step(kernel_.remove_nexthop(id), fmt::format("remove nexthop {:#x}", id));
    }
  }

 private:
  Kernel& kernel_;
  PassReport& report_;
};

std::map<RouteKey, Route> of_table(const NodeState& desired, std::uint32_t table) {
  std::map<RouteKey, Route> routes;
  for (const auto& [key, route] : desired.routes) {
    if (key.first == table) routes.emplace_hint(routes.end(), key, route);
  }
  return routes;
}

std::vector<Prefix> remotes_of(const NodeState& desired) {
  const auto routes = of_table(desired, kToRemoteTable);
  std::vector<Prefix> out;
  out.reserve(routes.size());
  for (const auto& [key, route] : routes) out.push_back(key.second);
  return out;
}

}  // namespace

PassReport Reconciler::apply(const NodeState& desired) {
  want(desired);
  return pass(desired);
}

bool Reconciler::forward_policy(const NodeState& desired, PassReport& report) {
  if (!desired.forward) return true;
  std::set<Family> families{Family::kV4};
  if (desired.sysctls.count("ipv6/conf/all/forwarding") != 0) families.insert(Family::kV6);
  return forward_.apply(slow_, *desired.forward, families, report);
}

PassReport Reconciler::pass(const NodeState& desired) {
  PassReport report;
  Pass pass(slow_, report);
  if (!desired.stray_tunnel.empty()) pass.stray_tunnel(desired.stray_tunnel);
  if (forward_policy(desired, report)) pass.sysctls(desired.sysctls);

  // Before the device and any route: the guard stands first, and no packet leaves masqueraded.
  const auto listing = slow_.dump_nft(std::string(kNodeNftTable));
  if (pass.dumped(listing, "list nft table") &&
      (desired.nft != nft_text_ || *listing != nft_listing_ || listing->empty())) {
    auto applied = slow_.apply_nft(desired.nft);
    const bool good = applied.has_value();
    pass.step(std::move(applied), "apply nft table");
    const auto after = slow_.dump_nft(std::string(kNodeNftTable));
    if (good) {
      if (auto done = slow_.forget_translated_flows(remotes_of(desired)); !done) {
        report.errors.push_back(done.error().context("flows from before the exemption").text);
      }
    }
    nft_text_ = good && after ? desired.nft : std::string();
    nft_listing_ = good && after ? *after : std::string();
    guarded_ = guarded_ || good;
  }
  // A device that is there already goes on: a fault of nft must not stop the switch of gateways.
  if (!guarded_ && (!listing || listing->empty()) && desired.vxlan && !pass.has_overlay()) {
    report.errors.push_back(fmt::format(
        "{} is not made: the node has no guard against what comes from it", kVxlanLink));
    return report;
  }

  if (desired.hop) {
    pass.hop(*desired.hop);
  } else {
    pass.no_hop();
  }
  Diff<IpAddress, Mac> neighbours;
  Diff<Mac, IpAddress> fdb;
  if (desired.vxlan) {
    pass.device(*desired.vxlan, desired.link_local, desired.link_sysctls);
    neighbours = pass.neighbours(desired);
    fdb = pass.fdb(desired);
  }

  Diff<std::uint32_t, Nexthop> nexthops;
  const bool answered = on_loop_([&] {
    if (desired.vxlan) neighbours_ = desired.neighbours;
    if (!desired.decided) return;
    nexthops = Pass(kernel_, report).nexthops(wanted_);
    nexthops_ = wanted_;
  });
  if (!answered) return report;
  const auto surplus =
      pass.routes(kToRemoteTable, of_table(desired, kToRemoteTable), !desired.decided);
  const auto from_tunnel = pass.routes(kFromTunnelTable, of_table(desired, kFromTunnelTable));
  const auto rules = pass.rules(desired.rules);

  pass.rule_order(desired, remotes_of(desired));

  // Removal, in the reverse order.
  pass.remove(rules);
  pass.remove(from_tunnel);
  pass.remove(surplus);
  if (!nexthops.remove.empty() && !on_loop_([&] {
        std::erase_if(nexthops.remove,
                      [&](const auto& one) { return wanted_.count(one.first) != 0; });
        Pass(kernel_, report).remove(nexthops);
      })) {
    return report;
  }
  for (const auto& [mac, remote] : fdb.remove) {
    pass.step(slow_.remove_fdb(std::string(kVxlanLink), {mac, remote}),
              "remove FDB entry of " + remote.to_string());
  }
  for (const auto& [address, mac] : neighbours.remove) {
    // The fast path removes those of holds itself; one that is there again may hold packets. Those
    // of a process that died have no owner.
    if (is_hold_address(address) && !first_) continue;
    pass.step(slow_.remove_neighbour(std::string(kVxlanLink), {address, mac}),
              "remove neighbour " + address.to_string());
  }
  first_ = false;
  report.routes = static_cast<std::size_t>(
      std::count_if(desired.routes.begin(), desired.routes.end(), [](const auto& entry) {
        // Without those of probes.
        return entry.first.first == kToRemoteTable && entry.second.link.empty();
      }));
  return report;
}

// A queue goes out when its neighbour gets an address, in order and before that call returns; but
// what comes meanwhile is sent past it. So that waits in a second queue, and what passes that one
// has some microseconds to do it. Nothing is queued again before the nexthop object is replaced.
void Reconciler::release(const Nexthop& next) {
  const auto mac = next.gateway ? neighbours_.find(*next.gateway) : neighbours_.end();
  if (mac == neighbours_.end()) return;
  const auto behind = behind_hold(next.id);
  const bool two = kernel_.replace_nexthop(behind).has_value();
  const auto let_go = [&](const IpAddress& queue) {
    if (auto done = kernel_.replace_neighbour(std::string(kVxlanLink), {queue, mac->second});
        !done) {
      log_warn("held packets are lost", {{"error", done.error().text}});
    }
  };
  let_go(hold_address(next.id));
  if (two) let_go(*behind.gateway);
}

PassReport Reconciler::switch_nexthops(const std::map<std::uint32_t, Nexthop>& desired) {
  PassReport report;
  Pass pass(kernel_, report);
  wanted_ = desired;
  for (auto& [id, current] : nexthops_) {
    const auto next = desired.find(id);
    if (next == desired.end() || next->second == current) continue;
    const bool held = is_hold(current);
    if (held) release(next->second);
    auto done = kernel_.replace_nexthop(next->second);
    if (done) current = next->second;
    if (held) {  // not there if nothing was held
      (void)kernel_.remove_neighbour(std::string(kVxlanLink), {hold_address(id), Mac{}});
      (void)kernel_.remove_neighbour(std::string(kVxlanLink), {*behind_hold(id).gateway, Mac{}});
    }
    pass.step(std::move(done), fmt::format("nexthop {:#x}", id));
  }
  return report;
}

PassReport remove_all(Kernel& kernel, const std::set<Family>& forwarding) {
  PassReport report;
  Pass pass(kernel, report);
  pass.remove(pass.rules({}));
  for (const auto table : kTables) pass.remove(pass.routes(table, {}));
  pass.remove(pass.nexthops({}));
  const auto listing = kernel.dump_nft(std::string(kNodeNftTable));
  if (pass.dumped(listing, "list nft table") && !listing->empty()) {
    pass.step(kernel.remove_nft(std::string(kNodeNftTable)), "remove nft table");
  }
  remove_forward_policy(kernel, forwarding, report);
  const std::string name(kVxlanLink);
  const auto links = kernel.all_links();
  if (pass.dumped(links, "dump links") &&
      std::any_of(links->begin(), links->end(),
                  [&](const auto& link) { return link.name == name && link.kind == "vxlan"; })) {
    pass.step(kernel.remove_link(name, "vxlan"), "remove " + name);
  }
  pass.no_hop();
  return report;
}

}  // namespace cw::routeagent
