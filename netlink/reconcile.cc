#include "netlink/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "base/diff.h"
#include "netlink/hold.h"

namespace cw::netlink {

namespace {

std::string describe(const Route& route) {
  return fmt::format("route {} table {}", route.dst.to_string(), route.table);
}
std::string describe(const Rule& rule) {
  return fmt::format("rule {} {}{}", rule.family == Family::kV4 ? "IPv4" : "IPv6", rule.priority,
                     rule.unreachable && rule.to ? " to " + rule.to->to_string() : "");
}

template <typename List>
auto by_name(const List& links, const std::string& name) {
  return std::find_if(links.begin(), links.end(),
                      [&](const auto& one) { return one.name == name; });
}

// What a pass removes at its end, in the reverse order of making.
struct Surplus {
  std::vector<Rule> rules;
  std::vector<Route> routes;
  std::vector<std::pair<std::string, FdbEntry>> fdb;  // with their links
  std::vector<std::pair<std::string, Neighbour>> neighbours;
};

template <typename Map>
bool holds(const Map& map, const typename Map::value_type& entry) {
  const auto at = map.find(entry.first);
  return at != map.end() && at->second == entry.second;
}

// One pass over the kernel. If a dump fails, its part waits for the next pass. `held`: the state
// that the last pass without errors left in the kernel. An object of it that is missing or other
// now was changed by another program.
class Pass {
 public:
  Pass(Kernel& kernel, const Owner& owner, const State& held, PassReport& report)
      : kernel_(kernel),
        owner_(owner),
        held_(held),
        report_(report),
        routes_left_(owner.routes_at_once) {}

  void sysctls(const std::map<std::string, std::string>& wanted) { sysctls(wanted, held_.sysctls); }

  [[nodiscard]] bool has_vxlan(const std::string& name) {
    const auto now = kernel_.dump_vxlan(name);
    return report_.read(now, "dump " + name) && now->has_value();
  }

  void link(const LinkSpec& wanted) {
    const auto at = by_name(held_.links, wanted.name);
    const auto before = at == held_.links.end() ? LinkSpec{} : *at;
    if (!device(wanted, before == wanted)) return;
    sysctls(wanted.sysctls, before.sysctls);
    addresses(wanted, before);
    if (!wanted.vxlan) return;
    neighbours(wanted, before);
    fdb(wanted, before);
  }

  void routes(std::uint32_t table, const std::string& link, const State& desired) {
    auto now = kernel_.dump_routes(table);
    if (!report_.read(now, fmt::format("dump table {}", table))) return;
    const bool add_only = !desired.decided && table == owner_.nexthop_table;
    std::map<Prefix, Route> actual;
    std::vector<Route> surplus;
    for (auto& route : *now) {
      if (!link.empty() && route.link != link) continue;
      const auto [at, fresh] = actual.try_emplace(route.dst, route);
      if (fresh) continue;
      // There are two routes to one destination, with different metrics: one is surplus.
      const auto want = desired.routes.find({table, route.dst});
      const bool exact = want != desired.routes.end() && want->second == route;
      surplus.push_back(exact ? std::exchange(at->second, route) : route);
    }
    for (const auto& [key, route] : desired.routes) {
      if (key.first != table) continue;
      const auto before = actual.find(key.second);
      const bool there = before != actual.end();
      if (there && (add_only || before->second == route)) continue;
      if (!may_change_route()) break;
      const bool done = report_.step(kernel_.replace_route(route), describe(route),
                                     was_held(key, route, desired), "route");
      // The kernel replaces a route of the same metric only: one of another metric is surplus.
      if (there && done && before->second.metric != route.metric) surplus.push_back(before->second);
    }
    if (add_only) return;
    for (auto& [dst, route] : actual) {
      if (desired.routes.count({table, dst}) == 0) surplus.push_back(std::move(route));
    }
    std::move(surplus.begin(), surplus.end(), std::back_inserter(surplus_.routes));
  }

  // To add an existing rule is no error: without a dump all are added, and none is removed.
  void rules(const std::set<Rule>& wanted) {
    auto now = kernel_.dump_rules();
    std::vector<Rule> actual;
    if (report_.read(now, "dump rules")) actual = std::move(*now);
    std::sort(actual.begin(), actual.end());
    for (const auto& rule : wanted) {
      if (std::binary_search(actual.begin(), actual.end(), rule)) continue;
      report_.step(kernel_.add_rule(rule), describe(rule), held_.rules.count(rule) != 0, "rule");
    }
    const auto goes = [&](const Rule& rule) { return owner_.has(rule) && wanted.count(rule) == 0; };
    std::copy_if(actual.begin(), actual.end(), std::back_inserter(surplus_.rules), goes);
    if (!owner_.bypass) return;
    // Last, so that they are removed after the rules that need them.
    for (const auto& bypass : actual) {
      if (!is_bypass(bypass) || wanted.count(bypass) != 0) continue;
      const auto needs = [&](const Rule& rule) {
        return !goes(rule) && needs_bypass(rule, bypass);
      };
      if (std::any_of(wanted.begin(), wanted.end(), needs) ||
          std::any_of(actual.begin(), actual.end(), needs)) {
        continue;
      }
      surplus_.rules.push_back(bypass);
    }
  }

  void remove_rules_and_routes() {
    for (const auto& rule : surplus_.rules) {
      report_.step(kernel_.remove_rule(rule), "remove " + describe(rule));
    }
    for (const auto& route : surplus_.routes) {
      if (!may_change_route()) break;
      report_.step(kernel_.remove_route(route), "remove " + describe(route));
    }
  }

  // The fast path removes the neighbours of holds itself, and one that exists may hold packets.
  // `holds` is true in a process's first pass: these are left over from a process that died.
  void remove_entries(bool holds) {
    for (const auto& [link, entry] : surplus_.fdb) {
      report_.step(kernel_.remove_fdb(link, entry),
                   "remove FDB entry of " + entry.remote.to_string());
    }
    for (const auto& [link, entry] : surplus_.neighbours) {
      if (is_hold_address(entry.address) && !holds) continue;
      report_.step(kernel_.remove_neighbour(link, entry),
                   "remove neighbour " + entry.address.to_string());
    }
  }

  // Also ends a userspace tunnel program: it stops when its device is gone.
  void remove_links(const State& desired) {
    if (owner_.links.empty()) return;
    const auto links = kernel_.all_links();
    if (!report_.read(links, "dump links")) return;
    for (const auto& link : *links) {
      const auto own = owner_.links.find(link.name);
      if (own == owner_.links.end() || own->second.count(link.kind) == 0 ||
          desired.left_links.count(link.name) != 0 ||
          by_name(desired.links, link.name) != desired.links.end()) {
        continue;
      }
      report_.step(kernel_.remove_link(link.name, link.kind), "remove " + link.name);
    }
  }

 private:
  void sysctls(const std::map<std::string, std::string>& wanted,
               const std::map<std::string, std::string>& before) {
    for (const auto& one : wanted) {
      const auto& [path, value] = one;
      const auto now = kernel_.sysctl(path);
      if (!report_.read(now, "sysctl " + path) || *now == value) continue;
      report_.step(kernel_.set_sysctl(path, value), "set sysctl " + path, holds(before, one),
                   "sysctl " + path);
    }
  }

  // A route also vanishes with its nexthop object. That object's change is then ours.
  [[nodiscard]] bool was_held(const RouteKey& key, const Route& route, const State& desired) const {
    if (!holds(held_.routes, {key, route})) return false;
    const auto nexthop = desired.nexthops.find(route.nexthop_id);
    return nexthop == desired.nexthops.end() || holds(held_.nexthops, *nexthop);
  }

  [[nodiscard]] bool may_change_route() {
    if (routes_left_ == 0) {
      report_.more = true;
      return false;
    }
    --routes_left_;
    return true;
  }

  // Makes the device or sets it up. False: there is no device to continue with.
  [[nodiscard]] bool device(const LinkSpec& wanted, bool was_there) {
    const auto vxlan = wanted.vxlan ? kernel_.dump_vxlan(wanted.name)
                                    : Result<std::optional<VxlanSpec>>(std::nullopt);
    if (!report_.read(vxlan, "dump " + wanted.name)) return false;
    const auto links = kernel_.all_links();
    if (!report_.read(links, "dump links")) return false;
    const auto link = by_name(*links, wanted.name);
    const bool up = link != links->end() && link->up;
    if (wanted.vxlan) {
      if (*vxlan != wanted.vxlan || !up) {
        report_.step(kernel_.replace_vxlan(*wanted.vxlan), "make " + wanted.name, was_there,
                     "device");
      }
      return true;
    }
    if (link == links->end()) {
      report_.errors.push_back(fmt::format("there is no device {}", wanted.name));
      return false;
    }
    if (!up || link->mtu != wanted.mtu) {
      report_.step(kernel_.set_link(wanted.name, wanted.mtu, true), "set up " + wanted.name,
                   was_there, "device");
    }
    return true;
  }

  void addresses(const LinkSpec& wanted, const LinkSpec& before) {
    const auto now = kernel_.all_addresses();
    if (!report_.read(now, "dump addresses")) return;
    for (const auto& address : wanted.addresses) {
      if (std::find(now->begin(), now->end(), address) == now->end()) {
        report_.step(kernel_.replace_address(address), "address of " + wanted.name,
                     before.addresses.count(address) != 0, "address");
      }
    }
    for (const auto& address : *now) {
      if (address.link != wanted.name || wanted.addresses.count(address) != 0 ||
          std::none_of(wanted.address_ranges.begin(), wanted.address_ranges.end(),
                       [&](const Prefix& range) { return range.contains(address.address); })) {
        continue;
      }
      report_.step(kernel_.remove_address(address), "remove an address of " + wanted.name);
    }
  }

  void neighbours(const LinkSpec& wanted, const LinkSpec& before) {
    const auto now = kernel_.dump_neighbours(wanted.name);
    if (!report_.read(now, "dump neighbours")) return;
    std::map<IpAddress, Mac> actual;
    for (const auto& entry : *now) actual[entry.address] = entry.mac;
    const auto plan = diff(actual, wanted.neighbours);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& entry : *part) {
        report_.step(kernel_.replace_neighbour(wanted.name, {entry.first, entry.second}),
                     "neighbour " + entry.first.to_string(), holds(before.neighbours, entry),
                     "neighbour");
      }
    }
    for (const auto& [address, mac] : plan.remove) {
      surplus_.neighbours.push_back({wanted.name, {address, mac}});
    }
  }

  void fdb(const LinkSpec& wanted, const LinkSpec& before) {
    const auto now = kernel_.dump_fdb(wanted.name);
    if (!report_.read(now, "dump FDB")) return;
    std::map<Mac, IpAddress> actual;
    for (const auto& entry : *now) actual[entry.mac] = entry.remote;
    const auto plan = diff(actual, wanted.fdb);
    for (const auto* part : {&plan.add, &plan.change}) {
      for (const auto& entry : *part) {
        report_.step(kernel_.replace_fdb(wanted.name, {entry.first, entry.second}),
                     "FDB entry of " + entry.second.to_string(), holds(before.fdb, entry),
                     "FDB entry");
      }
    }
    for (const auto& [mac, remote] : plan.remove) {
      surplus_.fdb.push_back({wanted.name, {mac, remote}});
    }
  }

  Kernel& kernel_;
  const Owner& owner_;
  const State& held_;
  PassReport& report_;
  std::size_t routes_left_;
  Surplus surplus_;
};

// The devices that tunnel drivers make, with their numbers: another number is another device.
std::map<std::string, std::uint32_t> driver_devices(Kernel& kernel) {
  std::map<std::string, std::uint32_t> devices;
  const auto links = kernel.all_links();
  if (!links) return devices;
  for (const auto& link : *links) {
    if (link.name == kTunnelLink || link.name == kHopLink) devices[link.name] = link.index;
  }
  return devices;
}

// Whether a pass from `before` to `after` makes a VXLAN device again.
bool remakes(const State& before, const State& after) {
  return std::any_of(after.links.begin(), after.links.end(), [&](const LinkSpec& link) {
    const auto old = by_name(before.links, link.name);
    return old != before.links.end() && old->vxlan && link.vxlan && *old->vxlan != *link.vxlan;
  });
}

}  // namespace

PassReport Reconciler::apply(const State& desired) {
  set_desired(desired);
  return pass(desired);
}

// The nft table comes before the device and any route, so no packet arrives unguarded or leaves
// masqueraded. Exceptions: once the table has stood, a fault of nft stops no other repair. And an
// existing VXLAN device stays in use, because traffic must be able to leave a lost gateway.
bool Reconciler::guard(const State& desired, PassReport& report) {
  using Outcome = NftKeeper::Outcome;
  if (!desired.nft) return true;
  const auto outcome = nft_.keep(slow_, *desired.nft, report);
  if (outcome == Outcome::kApplied) {
    guarded_ = true;
    if (held_.nft == desired.nft) ++report.restored["nft table"];
    if (!desired.exempt.empty()) {
      (void)report.read(slow_.forget_translated_flows(desired.exempt),
                        "flows from before the exemption");
    }
  }
  if (guarded_ || (outcome != Outcome::kMissing && outcome != Outcome::kUnread)) return true;
  const auto link = by_name(desired.links, desired.guarded);
  if (link == desired.links.end()) return true;
  if (link->vxlan && Pass(slow_, owner_, held_, report).has_vxlan(link->name)) return true;
  report.errors.push_back(
      fmt::format("{} {}: without its nft table nothing would check its packets", link->name,
                  link->vxlan ? "is not made" : "gets no address and no route"));
  return false;
}

PassReport Reconciler::pass(const State& desired, bool sysctls) {
  PassReport report;
  report.ended_early = true;
  const auto devices = driver_devices(slow_);
  // What went with a device that was made again, no other program took away.
  const bool ours = devices != devices_ || remakes(held_, desired);
  Pass pass(slow_, owner_, held_, report);
  if (sysctls) pass.sysctls(desired.sysctls);
  // Rules that refuse do not wait for the nft program, which may hang for 10 s.
  if (owner_.refusals) pass.rules(desired.rules);
  if (!guard(desired, report)) return report;
  std::optional<std::map<IpAddress, Mac>> neighbours;
  for (const auto& link : desired.links) {
    pass.link(link);
    if (link.vxlan) neighbours = link.neighbours;
  }
  std::set<std::uint32_t> nexthops;
  if (owner_.nexthop_table != 0 && !on_loop_([&] {
        if (neighbours) nexthops_.set_neighbours(std::move(*neighbours));
        if (desired.decided) nexthops = nexthops_.write(report);
      })) {
    return report;
  }
  for (const auto& [table, link] : owner_.tables) pass.routes(table, link, desired);
  if (!owner_.refusals) pass.rules(desired.rules);

  pass.remove_rules_and_routes();
  if (!nexthops.empty() && !on_loop_([&] { nexthops_.remove(nexthops, report); })) return report;
  pass.remove_entries(std::exchange(first_, false));
  pass.remove_links(desired);
  if (!desired.nft) {
    remove_nft(slow_, owner_.nft, report);
    nft_.forget();
  }
  report.ended_early = false;
  if (ours) report.restored.clear();
  if (report.errors.empty() && !report.more) {
    held_ = desired;
    devices_ = devices;
  }
  return report;
}

PassReport remove_all(Kernel& kernel, Owner owner) {
  owner.routes_at_once = std::numeric_limits<std::size_t>::max();
  return Reconciler(owner, kernel).apply({});
}

}  // namespace cw::netlink
