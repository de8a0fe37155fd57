#include "gateway/path/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/diff.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

using netlink::Kernel;
using netlink::Route;
using netlink::Rule;

class Pass {
 public:
  Pass(Kernel& kernel, PassReport& report, std::size_t most_routes)
      : kernel_(kernel), report_(report), routes_left_(most_routes) {}

  void step(Result<> done, const std::string& what) {
    ++report_.steps;
    if (!done) report_.errors.push_back(std::move(done.error()).context(what).text);
  }
  template <typename T>
  bool read(const Result<T>& dump, std::string_view what) {
    if (!dump) report_.errors.push_back(dump.error().context(what).text);
    return dump.has_value();
  }

  void sysctls(const std::map<std::string, std::string>& wanted) {
    for (const auto& [path, value] : wanted) {
      const auto now = kernel_.sysctl(path);
      if (!read(now, "sysctl " + path) || *now == value) continue;
      step(kernel_.set_sysctl(path, value), "set sysctl " + path);
    }
  }

  void device(const PathState& desired) {
    const auto links = kernel_.all_links();
    if (!read(links, "dump links")) return;
    const auto link = std::find_if(links->begin(), links->end(),
                                   [&](const auto& one) { return one.name == desired.link; });
    if (link == links->end()) {
      report_.errors.push_back(fmt::format("there is no device {}", desired.link));
      return;
    }
    if (!link->up || link->mtu != desired.mtu) {
      step(kernel_.set_link(desired.link, desired.mtu, true), "set up " + desired.link);
    }
    sysctls(desired.sysctls);  // before the addresses: one of them lets IPv6 in
    address(desired);
  }

  std::vector<Route> routes(std::uint32_t table, const std::string& link,
                            const std::map<RouteKey, Route>& wanted) {
    const auto now = kernel_.dump_routes(table);
    if (!read(now, fmt::format("dump table {}", table))) return {};
    std::map<RouteKey, Route> actual;
    std::vector<Route> surplus;
    for (const auto& route : *now) {
      // In the main table only those of our device can be the gateway's.
      if (table == kMainTable && route.link != link) continue;
      const RouteKey key{route.table, route.dst};
      const auto want = wanted.find(key);
      // The kernel tells an IPv6 route's default metric (1024); another metric is another route.
      const bool same = want != wanted.end() && is_same(route, want->second);
      if (want != wanted.end() && !same && replaceable(route, want->second)) {
        actual[key] = route;
      } else if (same) {
        actual[key] = want->second;
      } else {
        surplus.push_back(route);
      }
    }
    for (const auto& [key, route] : wanted) {
      if (key.first != table) continue;
      const auto have = actual.find(key);
      if (have != actual.end() && have->second == route) continue;
      if (!may_change_route()) break;
      step(kernel_.replace_route(route),
           fmt::format("route {} table {}", route.dst.to_string(), table));
    }
    return surplus;
  }

  std::vector<Rule> rules(const std::set<Rule>& wanted) {
    const auto now = kernel_.dump_rules();
    if (!read(now, "dump rules")) return {};
    for (const auto& rule : wanted) {
      if (std::find(now->begin(), now->end(), rule) == now->end()) {
        step(kernel_.add_rule(rule), fmt::format("rule {}", rule.priority));
      }
    }
    std::vector<Rule> surplus;
    for (const auto& rule : *now) {
      if (rule.table == netlink::kTransitTable && wanted.count(rule) == 0) surplus.push_back(rule);
    }
    return surplus;
  }

  void remove(const std::vector<Rule>& rules) {
    for (const auto& rule : rules) {
      step(kernel_.remove_rule(rule), fmt::format("remove rule {}", rule.priority));
    }
  }
  void remove(const std::vector<Route>& routes) {
    for (const auto& route : routes) {
      if (!may_change_route()) break;
      step(kernel_.remove_route(route),
           fmt::format("remove route {} table {}", route.dst.to_string(), route.table));
    }
  }

 private:
  bool may_change_route() {
    if (routes_left_ == 0) {
      report_.more = true;
      return false;
    }
    --routes_left_;
    return true;
  }
  static std::uint32_t metric_of(const Route& route) {
    if (route.metric != 0) return route.metric;
    return route.dst.is_v4() ? 0 : 1024;
  }
  static bool replaceable(const Route& have, const Route& want) {
    return metric_of(have) == metric_of(want);
  }
  static bool is_same(const Route& have, Route want) {
    if (!replaceable(have, want)) return false;
    want.metric = have.metric;
    return have == want;
  }

  void address(const PathState& desired) {
    const auto addresses = kernel_.all_addresses();
    if (!read(addresses, "dump addresses")) return;
    for (const auto& own : desired.addresses) {
      if (std::find(addresses->begin(), addresses->end(), own) == addresses->end()) {
        step(kernel_.replace_address(own), "address " + own.address.to_string());
      }
    }
    for (const auto& other : *addresses) {
      // An address of another key (fd00::/8 or 240/4, of full length): the ordinal's key changed.
      const auto first = other.address.bytes()[0];
      if (other.link != desired.link || desired.addresses.count(other) != 0 ||
          other.length != other.address.bits() ||
          !(other.address.is_v4() ? first >= 240 : first == 0xfd)) {
        continue;
      }
      step(kernel_.remove_address(other), "remove address " + other.address.to_string());
    }
  }

  Kernel& kernel_;
  PassReport& report_;
  std::size_t routes_left_;
};

}  // namespace

PassReport PathReconciler::apply(const PathState& desired) {
  PassReport report;
  Pass pass(kernel_, report, kRoutesAtOnce);
  // The guard first: nothing may reach the host before it stands.
  const std::string table(netlink::kGatewayNftTable);
  const auto listing = kernel_.dump_nft(table);
  if (pass.read(listing, "list nft table") &&
      (desired.nft != nft_text_ || *listing != nft_listing_ || listing->empty())) {
    auto applied = kernel_.apply_nft(desired.nft);
    const bool good = applied.has_value();
    pass.step(std::move(applied), "apply nft table");
    const auto after = kernel_.dump_nft(table);
    nft_text_ = good && after ? desired.nft : std::string();
    nft_listing_ = good && after ? *after : std::string();
    guarded_ = guarded_ || good;
  }
  // Once there was a guard, a fault of nft must not stop the repair of anything else.
  if (!guarded_ && (!listing || listing->empty())) {
    report.errors.push_back(fmt::format(
        "{} gets no address and no route: the host has no guard against what comes from it",
        desired.link));
    return report;
  }
  pass.device(desired);
  const auto main = pass.routes(kMainTable, desired.link, desired.routes);
  const auto transit = pass.routes(netlink::kTransitTable, desired.link, desired.routes);
  const auto rules = pass.rules(desired.rules);
  pass.remove(rules);
  pass.remove(transit);
  pass.remove(main);
  return report;
}

PassReport remove_path(netlink::Kernel& kernel, const std::string& link) {
  PassReport report;
  Pass pass(kernel, report, std::numeric_limits<std::size_t>::max());
  pass.remove(pass.rules({}));
  pass.remove(pass.routes(netlink::kTransitTable, link, {}));
  pass.remove(pass.routes(kMainTable, link, {}));
  const std::string table(netlink::kGatewayNftTable);
  const auto listing = kernel.dump_nft(table);
  if (pass.read(listing, "list nft table") && !listing->empty()) {
    pass.step(kernel.remove_nft(table), "remove nft table");
  }
  return report;
}

}  // namespace cw::gateway
