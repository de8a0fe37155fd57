// The laws of the reconciler, for each owner of kernel state, on a kernel in memory.
#include "netlink/reconcile.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "netlink/fake/fake_kernel.h"

namespace cw::netlink {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

Route route(std::uint32_t table, std::string_view dst, RouteType type = RouteType::kUnicast) {
  Route made;
  made.table = table;
  made.dst = net(dst);
  made.type = type;
  return made;
}
Route over(std::uint32_t table, std::string_view dst, std::string link) {
  auto made = route(table, dst);
  made.link = std::move(link);
  return made;
}
Route by(std::uint32_t nexthop, std::string_view dst) {
  auto made = route(kToRemoteTable, dst);
  made.nexthop_id = kNexthopBase + nexthop;
  return made;
}
void put(State& state, const Route& route) { state.routes[{route.table, route.dst}] = route; }
NftTable table(std::string_view name, std::string_view rule) {
  return {std::string(name), {}, {}, {{"any", "", {std::string(rule)}}}};
}

// Device, two gateways, one remote cluster behind the first and one behind the tunnel.
State node() {
  State state;
  state.sysctls = {{"ipv4/ip_forward", "1"}};
  state.nft = table(kNodeNftTable, "accept");
  state.guarded = "cw-vx";
  state.exempt = {net("10.2.0.0/16")};
  LinkSpec link{"cw-vx", 1420};
  link.vxlan = {"cw-vx", 7, kVxlanPort, ip("10.0.0.3"), 1420, {2, 0, 0, 0, 0, 3}};
  link.sysctls = {{"ipv4/conf/cw-vx/rp_filter", "2"}};
  link.addresses = {{"cw-vx", ip("fe80::3"), 64}};
  link.address_ranges = {net("::/0")};
  link.neighbours = {{ip("fe80::1"), {2, 0, 0, 0, 0, 1}}, {ip("fe80::2"), {2, 0, 0, 0, 0, 2}}};
  link.fdb = {{{2, 0, 0, 0, 0, 1}, ip("10.0.0.1")}, {{2, 0, 0, 0, 0, 2}, ip("10.0.0.2")}};
  state.links = {link};
  state.nexthops = {
      {kNexthopBase + 1, {kNexthopBase + 1, "cw-vx", ip("fe80::1"), Family::kV6, false}},
      {kNexthopBase + 2, {kNexthopBase + 2, "cw-wg", {}, Family::kV4, false}}};
  put(state, by(1, "10.2.0.0/16"));
  put(state, by(2, "10.3.0.0/16"));
  put(state, route(kToRemoteTable, "fd02::/32", RouteType::kUnreachable));
  put(state, route(kFromTunnelTable, "0.0.0.0/0", RouteType::kUnreachable));
  put(state, over(kFromTunnelTable, "10.1.1.0/24", "cw-vx"));
  state.rules = bypass_rules({});
  state.rules.insert({Family::kV4, kToRemotePriority, kToRemoteTable, ""});
  state.rules.insert({Family::kV4, kFromTunnelPriority, kFromTunnelTable, "cw-wg"});
  return state;
}
std::vector<State> node_lives() {
  std::vector<State> all{node(), node(), node(), node(), node()};
  all[1].nexthops.at(kNexthopBase + 1).gateway = ip("fe80::2");
  all[1].nexthops.erase(kNexthopBase + 2);
  put(all[1], route(kToRemoteTable, "10.3.0.0/16", RouteType::kUnreachable));
  all[1].routes.erase({kFromTunnelTable, net("10.1.1.0/24")});
  auto& rekeyed = all[2].links[0];
  rekeyed.vxlan->vni = 8;
  rekeyed.vxlan->mac = {2, 0, 0, 0, 0, 9};
  rekeyed.addresses = {{"cw-vx", ip("fe80::9"), 64}};
  rekeyed.neighbours.erase(ip("fe80::2"));
  rekeyed.fdb.erase({2, 0, 0, 0, 0, 2});
  all[2].nft = table(kNodeNftTable, "drop");
  all[3].decided = false;
  all[3].nexthops.clear();
  for (auto& [key, route] : all[3].routes) {
    if (key.first != kToRemoteTable) continue;
    route.type = RouteType::kUnreachable;
    route.nexthop_id = 0;
  }
  all[4].links[0].mtu = all[4].links[0].vxlan->mtu = 1370;
  all[4].rules = bypass_rules({5000});
  all[4].rules.insert({Family::kV4, 5003, kToRemoteTable, ""});
  return all;
}

State gateway(unsigned remotes = 3) {
  State state;
  state.nft = table(kGatewayNftTable, "accept");
  state.guarded = "cw-wg";
  LinkSpec link{"cw-wg", 1420};
  link.sysctls = {{"ipv4/conf/cw-wg/rp_filter", "2"}};
  link.addresses = {{"cw-wg", ip("fd12::1"), 128}, {"cw-wg", ip("240.1.1.1"), 32}};
  link.address_ranges = {net("fd00::/8"), net("240.0.0.0/4")};
  state.links = {link};
  put(state, over(kMainTable, "fd34::1/128", "cw-wg"));
  put(state, over(kTransitTable, "fd34::1/128", "cw-wg"));
  for (unsigned n = 0; n < remotes; ++n) {
    put(state, over(kTransitTable, fmt::format("10.2.{}.{}/32", n / 250, n % 250), "cw-wg"));
  }
  state.rules = {{Family::kV4, kTransitPriority, kTransitTable, "cw-vx"},
                 {Family::kV6, kTransitPriority, kTransitTable, "cw-vx"}};
  return state;
}
std::vector<State> gateway_lives() {
  std::vector<State> all{gateway(), gateway(0), gateway(5)};
  all[1].links[0].addresses = {{"cw-wg", ip("fd12::2"), 128}, {"cw-wg", ip("250.1.1.1"), 32}};
  all[2].nft = table(kGatewayNftTable, "drop");
  all[2].routes.erase({kMainTable, net("fd34::1/128")});
  return all;
}

State closed(std::vector<std::string_view> prefixes) {
  State state;
  if (prefixes.empty()) return state;
  state.nft = table(kClosedNftTable, fmt::format("drop {}", prefixes.size()));
  state.rules = bypass_rules({});
  for (const auto text : prefixes) {
    state.rules.insert({net(text).family(), kClosedPriority, 0, "", net(text), true});
  }
  return state;
}

// The host without Causeway's objects, but with the device of a tunnel driver.
FakeKernel fresh_kernel() {
  FakeKernel kernel;
  kernel.links["eth0"] = {2, "eth0", "", 1500, true, {}};
  kernel.addresses = {{"eth0", ip("10.0.0.3"), 24}};
  kernel.links["cw-wg"] = {7, "cw-wg", "wireguard", 1500, false, {}};
  kernel.nft["others"] = "of another program";
  kernel.nexthops[7] = {7, "eth0", ip("10.0.0.254"), Family::kV4, false};
  return kernel;
}

using Harm = std::function<void(FakeKernel&)>;

struct Life {
  std::string name;
  Owner owner;
  std::vector<State> states;
  std::vector<Harm> harms;  // each damages the first state
};

std::vector<Life> owners() {
  return {
      {"node",
       node_owner(),
       node_lives(),
       {[](FakeKernel& k) { k.drop_link("cw-vx"); },
        [](FakeKernel& k) { k.links["cw-vx"].up = false; },
        [](FakeKernel& k) { k.vxlan->mtu = 1500; },
        [](FakeKernel& k) { k.addresses.clear(); },
        [](FakeKernel& k) { k.neighbours.begin()->second = {}; },
        [](FakeKernel& k) { k.neighbours[ip("fe80::bad")] = {}; },
        [](FakeKernel& k) { k.fdb.clear(); },
        [](FakeKernel& k) { (void)k.remove_nexthop(kNexthopBase + 1); },
        [](FakeKernel& k) { k.nexthops[kNexthopBase + 1].gateway = ip("fe80::bad"); },
        [](FakeKernel& k) {
          k.nexthops[kNexthopBase + 5] = {kNexthopBase + 5, "eth0", {}, {}, false};
        },
        [](FakeKernel& k) { k.routes.clear(); },
        [](FakeKernel& k) {
          for (auto& [id, route] : k.routes) route.type = RouteType::kBlackhole;
        },
        [](FakeKernel& k) { (void)k.replace_route(over(kToRemoteTable, "10.99.0.0/16", "eth0")); },
        [](FakeKernel& k) {  // a second route to the same destination, with another metric
          auto twin = k.routes.begin()->second;
          twin.metric = 50;
          k.routes[{twin.table, twin.dst, 50}] = twin;
        },
        [](FakeKernel& k) { k.rules.clear(); },
        [](FakeKernel& k) {
          k.rules.insert({Family::kV4, kToRemotePriority, kToRemoteTable, "eth0"});
        },
        [](FakeKernel& k) { k.nft.erase("causeway"); },
        [](FakeKernel& k) { k.nft["causeway"] += "one rule more"; },
        [](FakeKernel& k) { k.sysctls["ipv4/ip_forward"] = "0"; },
        [](FakeKernel& k) { k.sysctls["ipv4/conf/cw-vx/rp_filter"] = "1"; }}},
      {"gateway",
       gateway_owner(),
       gateway_lives(),
       {[](FakeKernel& k) { k.routes.clear(); }, [](FakeKernel& k) { k.rules.clear(); },
        [](FakeKernel& k) { k.nft.erase("causeway-gateway"); },
        [](FakeKernel& k) { (void)k.set_link("cw-wg", 1280, true); },
        [](FakeKernel& k) { (void)k.set_link("cw-wg", 1420, false); },
        [](FakeKernel& k) {
          (void)k.remove_address({"cw-wg", ip("fd12::1"), 128});
        },
        [](FakeKernel& k) {
          (void)k.replace_address({"cw-wg", ip("fd99::9"), 128});
        },
        [](FakeKernel& k) { (void)k.replace_route(over(kTransitTable, "10.77.0.0/16", "cw-wg")); },
        [](FakeKernel& k) { (void)k.replace_route(over(kMainTable, "fd34::9/128", "cw-wg")); },
        [](FakeKernel& k) { k.sysctls["ipv4/conf/cw-wg/rp_filter"] = "1"; }}},
      {"closed",
       closed_owner(),
       {closed({"10.2.0.0/16", "fd02::/32"}), closed({"10.3.0.0/24"}), closed({})},
       {[](FakeKernel& k) { k.rules.clear(); }, [](FakeKernel& k) { k.nft.clear(); },
        [](FakeKernel& k) { k.nft["causeway-closed"] += "one rule more"; },
        [](FakeKernel& k) {
          k.rules.insert({Family::kV4, kClosedPriority, 0, "", net("10.77.0.0/16"), true});
        }}}};
}

void expect_link(FakeKernel& kernel, const LinkSpec& wanted) {
  const auto& link = kernel.links.at(wanted.name);
  EXPECT_TRUE(link.up);
  EXPECT_EQ(link.mtu, wanted.mtu);
  std::set<Address> addresses;
  for (const auto& address : kernel.addresses) {
    if (address.link == wanted.name) addresses.insert(address);
  }
  EXPECT_EQ(addresses, wanted.addresses);
  for (const auto& [path, value] : wanted.sysctls) EXPECT_EQ(kernel.sysctls[path], value);
  if (!wanted.vxlan) return;
  EXPECT_EQ(kernel.vxlan, wanted.vxlan);
  EXPECT_EQ(kernel.neighbours, wanted.neighbours);
  EXPECT_EQ(kernel.fdb, wanted.fdb);
}

// The kernel has the owner's objects as wanted, and no other object of the owner.
void expect_reached(FakeKernel& kernel, const Owner& owner, const State& wanted) {
  for (const auto& [path, value] : wanted.sysctls) EXPECT_EQ(kernel.sysctls[path], value);
  EXPECT_EQ(*kernel.dump_nft(owner.nft), wanted.nft ? "listing of\n" + nft_text(*wanted.nft) : "");
  for (const auto& link : wanted.links) expect_link(kernel, link);
  std::map<std::uint32_t, Nexthop> nexthops;
  for (const auto& [id, nexthop] : kernel.nexthops) {
    if (owner.has(nexthop)) nexthops[id] = nexthop;
  }
  if (wanted.decided) {
    EXPECT_EQ(nexthops, wanted.nexthops);
  }
  std::map<RouteKey, Route> routes;
  for (const auto& [id, route] : kernel.routes) {
    const auto table = owner.tables.find(route.table);
    if (table == owner.tables.end()) continue;
    if (!table->second.empty() && table->second != route.link) continue;
    EXPECT_TRUE(routes.try_emplace({route.table, route.dst}, route).second) << "one each";
  }
  for (const auto& [key, route] : wanted.routes) {
    EXPECT_EQ(routes.count(key), 1U);
    if (!wanted.decided && key.first == owner.nexthop_table) routes.erase(key);
  }
  if (wanted.decided) {
    EXPECT_EQ(routes, wanted.routes);
  }
  std::set<Rule> rules;
  for (const auto& rule : kernel.rules) {
    if (owner.has(rule) || (owner.bypass && is_bypass(rule))) rules.insert(rule);
  }
  EXPECT_EQ(rules, wanted.rules);
}

TEST(Reconcile, ReachesTheStateAndIsQuietTheSecondTime) {
  for (const auto& life : owners()) {
    for (const auto& wanted : life.states) {
      auto kernel = fresh_kernel();
      Reconciler reconciler(life.owner, kernel);
      const auto first = reconciler.apply(wanted);
      EXPECT_TRUE(first.errors.empty()) << life.name << ": " << first.errors.front();
      expect_reached(kernel, life.owner, wanted);
      const auto before = kernel.changes;
      EXPECT_EQ(reconciler.apply(wanted), PassReport{}) << life.name;
      EXPECT_EQ(kernel.changes, before);
    }
  }
}

TEST(Reconcile, ReachesEveryStateFromEveryOtherInOnePass) {
  for (const auto& life : owners()) {
    for (const auto& from : life.states) {
      for (const auto& to : life.states) {
        auto kernel = fresh_kernel();
        Reconciler(life.owner, kernel).apply(from);
        Reconciler reconciler(life.owner, kernel);  // as after a restart
        const auto report = reconciler.apply(to);
        EXPECT_TRUE(report.errors.empty()) << life.name << ": " << report.errors.front();
        expect_reached(kernel, life.owner, to);
        EXPECT_EQ(reconciler.apply(to).steps, 0U);
      }
    }
  }
}

TEST(Reconcile, ACrashAfterAnyStepIsRepairedByTheNextPass) {
  for (const auto& life : owners()) {
    for (const auto& to : life.states) {
      for (int step = 0;; ++step) {
        auto kernel = fresh_kernel();
        Reconciler(life.owner, kernel).apply(life.states.front());
        kernel.changes = 0;
        kernel.fail_at = step;
        kernel.crashed = true;
        Reconciler(life.owner, kernel).apply(to);
        const bool through = kernel.changes <= step;
        kernel.fail_at = -1;
        Reconciler(life.owner, kernel).apply(to);
        expect_reached(kernel, life.owner, to);
        if (through || HasFailure()) break;
      }
    }
  }
}

TEST(Reconcile, AFailedStepStopsNothingElseAndIsTriedAgain) {
  for (const auto& life : owners()) {
    const auto& wanted = life.states.front();
    for (int step = 0;; ++step) {
      auto kernel = fresh_kernel();
      kernel.fail_at = step;
      Reconciler reconciler(life.owner, kernel);
      const auto report = reconciler.apply(wanted);
      if (kernel.changes <= step) break;
      EXPECT_FALSE(report.errors.empty()) << life.name << " step " << step;
      EXPECT_TRUE(reconciler.apply(wanted).errors.empty()) << life.name << " step " << step;
      expect_reached(kernel, life.owner, wanted);
    }
  }
}

TEST(Reconcile, RepairsEveryKindOfDrift) {
  for (const auto& life : owners()) {
    const auto& wanted = life.states.front();
    for (std::size_t i = 0; i < life.harms.size(); ++i) {
      auto kernel = fresh_kernel();
      Reconciler reconciler(life.owner, kernel);
      reconciler.apply(wanted);
      life.harms[i](kernel);
      EXPECT_GT(reconciler.apply(wanted).steps, 0U) << life.name << " harm " << i;
      expect_reached(kernel, life.owner, wanted);
      EXPECT_EQ(reconciler.apply(wanted).steps, 0U) << life.name << " harm " << i;
    }
  }
}

TEST(Reconcile, RemovalLeavesNothingAndTheOthersStateAlone) {
  for (const auto& life : owners()) {
    for (const bool alone : {true, false}) {
      auto kernel = fresh_kernel();
      kernel.links["cw-wg"].mtu = 1420;  // the gateway sets it, and cleanup leaves it
      kernel.links["cw-wg"].up = true;
      for (const auto& other : owners()) {
        if (!alone && other.name != life.name) {
          Reconciler(other.owner, kernel).apply(other.states.front());
        }
      }
      const auto before = kernel;
      for (const auto& state : life.states) Reconciler(life.owner, kernel).apply(state);
      EXPECT_TRUE(remove_all(kernel, life.owner).errors.empty());
      EXPECT_EQ(kernel.whole(), before.whole()) << life.name;
      EXPECT_EQ(remove_all(kernel, life.owner), PassReport{}) << "twice is no error";
    }
  }
}

TEST(Reconcile, TheBypassGoesWithTheLastThatNeedsIt) {
  auto kernel = fresh_kernel();
  Reconciler(closed_owner(), kernel).apply(closed({"10.2.0.0/16"}));
  Reconciler(node_owner(), kernel).apply(node());
  remove_all(kernel, node_owner());
  EXPECT_EQ(kernel.rules, closed({"10.2.0.0/16"}).rules);
  remove_all(kernel, closed_owner());
  EXPECT_TRUE(kernel.rules.empty());
}

// Without its nft table a node would take packets from any sender, and a gateway would open the
// host's services.
TEST(Reconcile, WithoutTheGuardTheDeviceCarriesNothing) {
  for (const auto& [owner, wanted] :
       {std::pair{node_owner(), node()}, std::pair{gateway_owner(), gateway()}}) {
    for (const bool unreadable : {false, true}) {
      auto kernel = fresh_kernel();
      Reconciler reconciler(owner, kernel);
      kernel.nft_unreadable = unreadable;
      kernel.refused_nft = owner.nft;
      const auto before = kernel;
      const auto report = reconciler.apply(wanted);
      ASSERT_EQ(report.errors.size(), 2U);
      EXPECT_NE(report.errors[1].find("without its nft table"), std::string::npos);
      EXPECT_EQ(kernel.whole(), before.whole());
      EXPECT_EQ(kernel.addresses, before.addresses);
      kernel.nft_unreadable = false;
      kernel.refused_nft.clear();
      EXPECT_TRUE(reconciler.apply(wanted).errors.empty());
      expect_reached(kernel, owner, wanted);

      // Once the table has stood, a fault of nft stops nothing else.
      kernel.nft_unreadable = unreadable;
      kernel.refused_nft = owner.nft;
      kernel.nft.erase(owner.nft);
      kernel.routes.clear();
      EXPECT_EQ(reconciler.apply(wanted).errors.size(), 1U);
      EXPECT_EQ(kernel.routes.size(), wanted.routes.size());
    }
  }
}

// The nft program may hang for seconds. The layer that does not need it is made at once.
TEST(Reconcile, RulesThatRefuseDoNotWaitForNft) {
  auto kernel = fresh_kernel();
  const auto wanted = closed({"10.2.0.0/16"});
  Reconciler(closed_owner(), kernel).apply(wanted);
  const auto log = kernel.take_log();
  EXPECT_LT(log.find("to 10.2.0.0/16 unreachable"), log.find("nft table causeway-closed")) << log;
  kernel.rules.clear();
  kernel.nft_unreadable = true;
  EXPECT_EQ(Reconciler(closed_owner(), kernel).apply(wanted).errors.size(), 1U);
  EXPECT_EQ(kernel.rules, wanted.rules);
}

// For Linux, a route of another metric is another route.
TEST(Reconcile, ARouteOfAnotherMetricGoesWhenOursIsThere) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(gateway_owner(), kernel);
  reconciler.apply(gateway());
  auto other = over(kTransitTable, "fd34::1/128", "cw-wg");
  kernel.routes.erase({other.table, other.dst, 0});
  other.metric = 50;
  kernel.routes[{other.table, other.dst, 50}] = other;
  const auto drifted = kernel.routes;
  kernel.fail_at = kernel.changes;
  EXPECT_EQ(reconciler.apply(gateway()).errors.size(), 1U);
  EXPECT_EQ(kernel.routes, drifted) << "better than none";
  EXPECT_EQ(reconciler.apply(gateway()).steps, 2U);
  expect_reached(kernel, gateway_owner(), gateway());
}

// Traffic must be able to leave a lost gateway.
TEST(Reconcile, AVxlanDeviceOfAnEarlierProcessGoesOnWithoutTheGuard) {
  auto kernel = fresh_kernel();
  Reconciler(node_owner(), kernel).apply(node());
  kernel.nft.clear();
  kernel.refused_nft = "causeway";
  ASSERT_TRUE(kernel.remove_nexthop(kNexthopBase + 1));
  EXPECT_EQ(Reconciler(node_owner(), kernel).apply(node()).errors.size(), 1U);
  EXPECT_EQ(kernel.nexthops.count(kNexthopBase + 1), 1U);
}

TEST(Reconcile, IPv6IsLetInBeforeTheDeviceGetsAnAddress) {
  auto kernel = fresh_kernel();
  auto wanted = gateway();
  const std::string path = "ipv6/conf/cw-wg/disable_ipv6";
  wanted.links[0].sysctls[path] = "0";
  kernel.sysctls[path] = "1";
  Reconciler(gateway_owner(), kernel).apply(wanted);
  const auto log = kernel.take_log();
  EXPECT_LT(log.find("sysctl " + path + " 0"), log.find("fd12::1/128 dev")) << log;
}

// 5,000 prefixes of a peer are added and removed in several short passes.
TEST(Reconcile, ManyRoutesChangeInSlices) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(gateway_owner(), kernel);
  for (const auto& wanted : {gateway(5000), gateway()}) {
    std::size_t passes = 0;
    for (bool more = true; more; ++passes) {
      ASSERT_LT(passes, 40U);
      const auto report = reconciler.apply(wanted);
      EXPECT_TRUE(report.errors.empty());
      EXPECT_LE(report.steps, kRoutesAtOnce + 10);
      more = report.more;
    }
    EXPECT_GE(passes, 4997 / kRoutesAtOnce);
    expect_reached(kernel, gateway_owner(), wanted);
    EXPECT_EQ(reconciler.apply(wanted), PassReport{});
  }
}

TEST(Reconcile, UndecidedItKeepsWhatCarriesTraffic) {
  auto kernel = fresh_kernel();
  Reconciler(node_owner(), kernel).apply(node());
  const auto nexthops = kernel.nexthops;
  const auto routes = kernel.routes;
  auto undecided = node_lives()[3];
  put(undecided, route(kToRemoteTable, "10.4.0.0/16", RouteType::kUnreachable));
  Reconciler(node_owner(), kernel).apply(undecided);
  EXPECT_EQ(kernel.nexthops, nexthops);
  EXPECT_EQ(kernel.routes.size(), routes.size() + 1) << "new ones do not leak";
  for (const auto& [id, route] : routes) EXPECT_EQ(kernel.routes.at(id), route);
}

TEST(Reconcile, ADeviceThatIsLeftStaysAsItIs) {
  auto kernel = fresh_kernel();
  Reconciler(node_owner(), kernel).apply(node());
  auto left = node();
  left.links.clear();
  left.left_links = {"cw-vx"};
  Reconciler(node_owner(), kernel).apply(left);
  EXPECT_EQ(kernel.vxlan, node().links[0].vxlan);
  left.left_links.clear();
  Reconciler(node_owner(), kernel).apply(left);
  EXPECT_FALSE(kernel.vxlan);
}

TEST(Reconcile, AForeignDeviceOfOurNameIsToldAndLeft) {
  auto kernel = fresh_kernel();
  kernel.links["cw-vx"] = {9, "cw-vx", "bridge", 1500, true, {}};
  EXPECT_FALSE(Reconciler(node_owner(), kernel).apply(node()).errors.empty());
  remove_all(kernel, node_owner());
  EXPECT_EQ(kernel.links.at("cw-vx").kind, "bridge");
}

TEST(Reconcile, WithoutTheDriversDeviceItSaysSo) {
  FakeKernel kernel;
  const auto report = Reconciler(gateway_owner(), kernel).apply(gateway());
  ASSERT_FALSE(report.errors.empty());
  EXPECT_EQ(report.errors.front(), "there is no device cw-wg");
}

TEST(Reconcile, ForgetsFlowsFromBeforeTheExemptionWheneverItChanges) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(node_owner(), kernel);
  reconciler.apply(node());
  EXPECT_EQ(kernel.forgotten, (std::vector<std::vector<Prefix>>{node().exempt}));
  reconciler.apply(node());
  EXPECT_EQ(kernel.forgotten.size(), 1U) << "nothing changed";
}

using Restored = std::map<std::string, std::size_t>;

TEST(Reconcile, CountsWhatOthersTookAwayAndNothingElse) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(node_owner(), kernel);
  auto state = node();
  EXPECT_EQ(reconciler.apply(state).restored, Restored{}) << "all of it is new";
  put(state, by(1, "10.4.0.0/16"));
  state.nexthops.at(kNexthopBase + 1).gateway = ip("fe80::2");
  state.nft = table(kNodeNftTable, "drop");
  EXPECT_EQ(reconciler.apply(state).restored, Restored{}) << "we changed it ourselves";
  kernel.rules.clear();
  kernel.routes.clear();
  kernel.nft.erase("causeway");
  kernel.sysctls["ipv4/conf/cw-vx/rp_filter"] = "1";
  EXPECT_EQ(
      reconciler.apply(state).restored,
      (Restored{
          {"nft table", 1}, {"route", 6}, {"rule", 6}, {"sysctl ipv4/conf/cw-vx/rp_filter", 1}}));
  EXPECT_EQ(reconciler.apply(state).restored, Restored{});
  kernel.drop_link("cw-vx");
  const auto report = reconciler.apply(state);
  EXPECT_EQ(report.restored.at("device"), 1U);
  EXPECT_EQ(report.restored.at("next hop"), 1U);
  EXPECT_EQ(report.restored.at("FDB entry"), 2U);
}

TEST(Reconcile, ARouteThatWentWithItsNexthopWasNotTakenAway) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(node_owner(), kernel);
  auto state = node();
  reconciler.apply(state);
  kernel.drop_link("cw-wg");  // the gateway's process ended; another one carries now
  state.nexthops.at(kNexthopBase + 2) = {kNexthopBase + 2, "cw-vx", ip("fe80::2"), Family::kV6,
                                         false};
  EXPECT_EQ(reconciler.apply(state).restored, Restored{});
  EXPECT_EQ(kernel.routes.count({kToRemoteTable, net("10.3.0.0/16"), 0}), 1U);
}

TEST(Reconcile, WhatWentWithADeviceThatWasMadeAgainWasNotTakenAway) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(gateway_owner(), kernel);
  reconciler.apply(gateway());
  kernel.drop_link("cw-wg");
  kernel.links["cw-wg"] = {9, "cw-wg", "wireguard", 1500, false, {}};
  EXPECT_EQ(reconciler.apply(gateway()).restored, Restored{}) << "the tunnel driver did that";
  expect_reached(kernel, gateway_owner(), gateway());
  kernel.routes.clear();
  EXPECT_EQ(reconciler.apply(gateway()).restored, (Restored{{"route", 5}}));

  auto other = fresh_kernel();
  Reconciler node_pass(node_owner(), other);
  auto state = node();
  node_pass.apply(state);
  state.links[0].vxlan->vni = 8;  // the device is made again, and the routes over it
  EXPECT_EQ(node_pass.apply(state).restored, Restored{});
}

TEST(Priorities, RulesBehindTheGatewaysMoveAfterIt) {
  const RulePriorities now;
  EXPECT_EQ(behind_transit(now, 0), now);
  EXPECT_EQ(behind_transit(now, kTransitPriority), now);
  EXPECT_EQ(behind_transit(now, 7486), RulePriorities{7484});
  const auto rules = [](std::uint32_t transit, std::uint32_t to_remote) {
    return std::vector<Rule>{{Family::kV4, transit, kTransitTable, "cw-vx"},
                             {Family::kV4, to_remote, kToRemoteTable, ""}};
  };
  EXPECT_EQ(behind_routes(now, {}), now);
  EXPECT_EQ(behind_routes(now, rules(kTransitPriority, kToRemotePriority)), now);
  EXPECT_EQ(behind_routes(now, rules(kTransitPriority, 7487)), RulePriorities{7484});
  EXPECT_EQ(behind_routes(now, rules(7486, kToRemotePriority)), RulePriorities{7484});
}

TEST(Reconcile, AnUpgradeAddsTheNewRulesBeforeItRemovesTheOld) {
  auto kernel = fresh_kernel();
  auto before = node();
  before.rules = bypass_rules({7484});
  before.rules.insert({Family::kV4, 7487, kToRemoteTable, ""});
  before.rules.insert({Family::kV4, 7485, kFromTunnelTable, "cw-wg"});
  Reconciler(node_owner(), kernel).apply(before);
  (void)kernel.take_log();
  Reconciler reconciler(node_owner(), kernel);  // the new version
  reconciler.apply(node());
  expect_reached(kernel, node_owner(), node());
  const auto log = kernel.take_log();
  const auto last_added = log.rfind("\nrule");
  const auto first_removed = log.find("del rule");
  ASSERT_NE(last_added, std::string::npos) << log;
  ASSERT_NE(first_removed, std::string::npos) << log;
  EXPECT_LT(last_added, first_removed) << log;
}

TEST(FastPath, AChangeOfGatewayIsOneStepANexthop) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(node_owner(), kernel);
  reconciler.apply(node());
  auto next = node();
  next.nexthops.at(kNexthopBase + 1).gateway = ip("fe80::2");
  const auto routes = kernel.routes;
  kernel.changes = 0;
  EXPECT_EQ(reconciler.change_nexthops(next.nexthops).steps, 1U);
  EXPECT_EQ(kernel.changes, 1);
  EXPECT_EQ(kernel.routes, routes) << "not one route is touched";
  EXPECT_EQ(reconciler.change_nexthops(next.nexthops).steps, 0U);
  EXPECT_EQ(reconciler.apply(next).steps, 0U) << "the full pass has nothing to add";
}

TEST(FastPath, AFailureIsToldAndTriedAgain) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(node_owner(), kernel);
  reconciler.apply(node());
  auto next = node();
  next.nexthops.at(kNexthopBase + 1).gateway = ip("fe80::2");
  kernel.fail_at = kernel.changes;
  EXPECT_EQ(reconciler.change_nexthops(next.nexthops).errors.size(), 1U);
  EXPECT_EQ(reconciler.change_nexthops(next.nexthops).steps, 1U);
  expect_reached(kernel, node_owner(), next);
}

// A pass to an older state runs on its own thread while a newer change comes.
TEST(FastPath, APassNeverUndoesANewerChange) {
  auto kernel = fresh_kernel();
  auto next = node();
  next.nexthops.at(kNexthopBase + 1).gateway = ip("fe80::2");
  Reconciler* raw = nullptr;
  bool changed = false;
  Reconciler reconciler(node_owner(), kernel, kernel, [&](const std::function<void()>& call) {
    if (changed) {
      EXPECT_TRUE(raw->change_nexthops(next.nexthops).errors.empty());
    }
    call();
    return true;
  });
  raw = &reconciler;
  reconciler.apply(node());
  changed = true;
  kernel.routes.clear();
  reconciler.pass(node());
  EXPECT_EQ(kernel.nexthops.at(kNexthopBase + 1).gateway, ip("fe80::2"));
}

}  // namespace
}  // namespace cw::netlink
