// The reconciler's laws, on a model of the kernel: quiet when nothing differs, right from any other
// state, whole again after a crash at any step, nothing left after removal.
#include "routeagent/node/reconcile.h"

#include <gtest/gtest.h>

#include "netlink/owner.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/model_kernel.h"

namespace cw::routeagent {
namespace {

// What the kernel must hold for `desired`.
void expect_reached(ModelKernel& kernel, const NodeState& desired) {
  EXPECT_EQ(kernel.vxlan, desired.vxlan);
  EXPECT_NE(std::find(kernel.addresses.begin(), kernel.addresses.end(), desired.link_local),
            kernel.addresses.end());
  EXPECT_EQ(kernel.neighbours, desired.neighbours);
  EXPECT_EQ(kernel.fdb, desired.fdb);
  EXPECT_EQ(kernel.rules, desired.rules);
  EXPECT_EQ(kernel.nft["causeway"], "listing of\n" + desired.nft);
  for (const auto& [path, value] : desired.sysctls) EXPECT_EQ(kernel.sysctls[path], value);
  for (const auto& [path, value] : desired.link_sysctls) EXPECT_EQ(kernel.sysctls[path], value);
  std::map<RouteKey, netlink::Route> routes;
  for (const auto& [id, route] : kernel.routes) routes[{route.table, route.dst}] = route;
  EXPECT_EQ(routes.size(), kernel.routes.size()) << "one route a destination";
  if (desired.decided) {
    EXPECT_EQ(kernel.nexthops, desired.nexthops);
    EXPECT_EQ(routes, desired.routes);
  } else {
    for (const auto& [key, route] : desired.routes) EXPECT_EQ(routes.count(key), 1U);
  }
}

ModelKernel fresh_kernel() {
  ModelKernel kernel;
  kernel.add_tunnel();
  return kernel;
}

TEST(Reconcile, ReachesTheStateAndIsQuietTheSecondTime) {
  for (const auto& desired : lives()) {
    auto kernel = fresh_kernel();
    Reconciler reconciler(kernel);
    const auto first = reconciler.apply(desired);
    EXPECT_TRUE(first.errors.empty()) << first.errors.front();
    expect_reached(kernel, desired);
    const auto before = kernel.changes;
    EXPECT_EQ(reconciler.apply(desired).steps, 0U);
    EXPECT_EQ(kernel.changes, before);
  }
}

TEST(Reconcile, ForgetsFlowsFromBeforeTheExemptionWheneverItChanges) {
  for (const auto& desired : lives()) {
    auto kernel = fresh_kernel();
    Reconciler reconciler(kernel);
    reconciler.apply(desired);
    std::vector<Prefix> exempt;
    for (const auto& [key, route] : desired.routes) {
      if (key.first == netlink::kToRemoteTable) exempt.push_back(key.second);
    }
    ASSERT_EQ(kernel.forgotten.size(), 1U);
    EXPECT_EQ(kernel.forgotten[0], exempt);
    reconciler.apply(desired);
    EXPECT_EQ(kernel.forgotten.size(), 1U) << "nothing changed";
  }
}

TEST(Reconcile, ReachesEveryStateFromEveryOtherInOnePass) {
  for (const auto& from : lives()) {
    for (const auto& to : lives()) {
      auto kernel = fresh_kernel();
      Reconciler(kernel).apply(from);
      Reconciler reconciler(kernel);  // as after a restart
      const auto report = reconciler.apply(to);
      EXPECT_TRUE(report.errors.empty()) << report.errors.front();
      expect_reached(kernel, to);
      EXPECT_EQ(reconciler.apply(to).steps, 0U);
    }
  }
}

TEST(Reconcile, ACrashAfterAnyStepIsRepairedByTheNextPass) {
  const auto states = lives();
  for (const auto& from : {states[0], states[4]}) {
    for (const auto& to : states) {
      for (int step = 0;; ++step) {
        auto kernel = fresh_kernel();
        Reconciler(kernel).apply(from);
        kernel.changes = 0;
        kernel.fail_at = step;
        kernel.crashed = true;
        Reconciler(kernel).apply(to);
        const bool through = kernel.changes <= step;
        kernel.fail_at = -1;
        Reconciler(kernel).apply(to);
        expect_reached(kernel, to);
        if (through || ::testing::Test::HasFailure()) break;
      }
    }
  }
}

TEST(Reconcile, AFailedStepStopsNothingElseAndIsTriedAgain) {
  const auto desired = desired_state(inputs(true));
  for (int step = 0;; ++step) {
    auto kernel = fresh_kernel();
    kernel.fail_at = step;
    Reconciler reconciler(kernel);
    const auto report = reconciler.apply(desired);
    if (kernel.changes <= step) break;
    EXPECT_FALSE(report.errors.empty()) << "step " << step;
    EXPECT_TRUE(reconciler.apply(desired).errors.empty()) << "step " << step;
    expect_reached(kernel, desired);
  }
}

TEST(Reconcile, WithoutTheNftTableThereIsNoDevice) {
  for (const bool unreadable : {false, true}) {
    const auto desired = desired_state(inputs());
    ModelKernel kernel;
    Reconciler reconciler(kernel);
    kernel.nft_unreadable = unreadable;
    kernel.refused_nft = "causeway";
    const auto report = reconciler.apply(desired);
    ASSERT_EQ(report.errors.size(), 2U);
    EXPECT_NE(report.errors[1].find("cw-vx is not made"), std::string::npos);
    EXPECT_FALSE(kernel.vxlan);
    EXPECT_TRUE(kernel.routes.empty());
    kernel.nft_unreadable = false;
    kernel.refused_nft.clear();
    EXPECT_TRUE(reconciler.apply(desired).errors.empty());
    EXPECT_TRUE(kernel.vxlan);

    // The next process finds the device: it goes on, so that a lost gateway is left.
    kernel.nft.clear();
    kernel.nft_unreadable = unreadable;
    kernel.refused_nft = "causeway";
    const auto id = kernel.nexthops.begin()->first;
    kernel.drop_nexthop(id);
    Reconciler next(kernel);
    EXPECT_EQ(next.apply(desired).errors.size(), 1U);
    EXPECT_EQ(kernel.nexthops.count(id), 1U);
  }
}

TEST(Reconcile, RepairsEveryKindOfDrift) {
  const auto desired = desired_state(inputs(true));
  const std::vector<std::function<void(ModelKernel&)>> harm = {
      [](ModelKernel& k) { k.drop_link("cw-vx"); },
      [](ModelKernel& k) { k.links["cw-vx"].up = false; },
      [](ModelKernel& k) { k.vxlan->mtu = 1500; },
      [](ModelKernel& k) { k.addresses.clear(); },
      [](ModelKernel& k) { k.neighbours.begin()->second = {}; },
      [](ModelKernel& k) { k.neighbours[*IpAddress::parse("fe80::bad")] = {}; },
      [](ModelKernel& k) { k.fdb.clear(); },
      [](ModelKernel& k) { k.drop_nexthop(k.nexthops.begin()->first); },
      [](ModelKernel& k) { k.nexthops.begin()->second.gateway = ip("fe80::bad"); },
      [](ModelKernel& k) {
        k.nexthops[netlink::kNexthopBase + 5] = {netlink::kNexthopBase + 5, "eth0", {}, {}, false};
      },
      [](ModelKernel& k) { k.routes.clear(); },
      [](ModelKernel& k) {
        for (auto& [id, route] : k.routes) route.type = netlink::RouteType::kBlackhole;
      },
      [](ModelKernel& k) {
        netlink::Route stray;
        stray.table = 7487;
        stray.dst = net("10.99.0.0/16");
        stray.link = "eth0";
        k.routes[{7487, stray.dst, 0}] = stray;
      },
      [](ModelKernel& k) {  // the same destination with another metric beside ours
        auto twin = k.routes.begin()->second;
        twin.metric = 50;
        k.routes[{twin.table, twin.dst, 50}] = twin;
      },
      [](ModelKernel& k) { k.rules.clear(); },
      [](ModelKernel& k) {
        k.rules.insert({Family::kV4, 7487, 7487, "eth0"});
      },
      [](ModelKernel& k) { k.nft.clear(); },
      [](ModelKernel& k) { k.nft["causeway"] += "one rule more"; },
      [](ModelKernel& k) { k.sysctls["ipv4/ip_forward"] = "0"; },
      [](ModelKernel& k) { k.sysctls["ipv4/conf/cw-vx/rp_filter"] = "1"; },
  };
  for (std::size_t i = 0; i < harm.size(); ++i) {
    auto kernel = fresh_kernel();
    Reconciler reconciler(kernel);
    reconciler.apply(desired);
    harm[i](kernel);
    EXPECT_GT(reconciler.apply(desired).steps, 0U) << "harm " << i;
    expect_reached(kernel, desired);
    EXPECT_EQ(reconciler.apply(desired).steps, 0U) << "harm " << i;
  }
}

TEST(Reconcile, NeverTouchesWhatIsNotItsOwn) {
  auto kernel = fresh_kernel();
  const netlink::Rule transit{Family::kV4, 7486, 7486, "cw-vx"};
  kernel.rules.insert(transit);
  netlink::Route through;
  through.table = 7486;
  through.dst = net("10.2.0.0/16");
  through.link = "cw-wg";
  kernel.routes[{7486, through.dst, 0}] = through;
  kernel.nft["causeway-gateway"] = "the gateway's";
  const netlink::Nexthop foreign{7, "eth0", ip("10.0.0.254"), Family::kV4, false};
  kernel.nexthops[7] = foreign;
  Reconciler(kernel).apply(desired_state(inputs(true)));
  remove_all(kernel);
  EXPECT_EQ(kernel.rules, (std::set<netlink::Rule>{transit}));
  EXPECT_EQ(kernel.routes.size(), 1U);
  EXPECT_EQ(kernel.nexthops, (std::map<std::uint32_t, netlink::Nexthop>{{7, foreign}}));
  EXPECT_EQ(kernel.nft["causeway-gateway"], "the gateway's");
  EXPECT_EQ(kernel.links.count("cw-wg"), 1U);
}

TEST(Reconcile, RemovalLeavesNothingAndTwiceIsNoError) {
  for (const auto& desired : lives()) {
    auto kernel = fresh_kernel();
    const auto untouched = fresh_kernel();
    Reconciler(kernel).apply(desired);
    EXPECT_TRUE(remove_all(kernel).errors.empty());
    EXPECT_EQ(kernel.whole(), untouched.whole());
    EXPECT_EQ(kernel.addresses, untouched.addresses);
    EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1") << "others need it too";
    EXPECT_EQ(remove_all(kernel).steps, 0U);
  }
}

TEST(Reconcile, AForeignDeviceOfOurNameIsToldAndLeft) {
  auto kernel = fresh_kernel();
  kernel.links["cw-vx"] = {9, "cw-vx", "bridge", 1500, true, {}};
  Reconciler reconciler(kernel);
  EXPECT_FALSE(reconciler.apply(desired_state(inputs())).errors.empty());
  remove_all(kernel);
  EXPECT_EQ(kernel.links.at("cw-vx").kind, "bridge");
}

TEST(Reconcile, UndecidedItKeepsWhatCarriesTraffic) {
  auto kernel = fresh_kernel();
  Reconciler(kernel).apply(desired_state(inputs()));
  const auto nexthops = kernel.nexthops;
  const auto routes = kernel.routes;
  auto undecided = inputs();
  undecided.decided = false;
  undecided.choices.clear();
  undecided.remotes.push_back({"south", {net("10.4.0.0/16")}});
  Reconciler(kernel).apply(desired_state(undecided));
  EXPECT_EQ(kernel.nexthops, nexthops);
  EXPECT_EQ(kernel.routes.size(), routes.size() + 1);
  EXPECT_EQ((kernel.routes.at({7487, net("10.4.0.0/16"), 0}).type),
            netlink::RouteType::kUnreachable)
      << "new ones do not leak";
  for (const auto& [id, route] : routes) EXPECT_EQ(kernel.routes.at(id), route);
}

TEST(FastPath, AChangeOfGatewayIsOneStepAClusterAndFamily) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(kernel);
  reconciler.apply(desired_state(inputs()));
  auto next = inputs();
  next.choices[{"west", Family::kV4}].ordinal = 1;
  next.choices[{"west", Family::kV6}].ordinal = 1;
  const auto routes = kernel.routes;
  kernel.changes = 0;
  const auto report = reconciler.switch_nexthops(desired_nexthops(next));
  EXPECT_EQ(report.steps, 2U);
  EXPECT_EQ(kernel.changes, 2);
  EXPECT_EQ(kernel.nexthops, desired_nexthops(next));
  EXPECT_EQ(kernel.routes, routes) << "not one route is touched";
  EXPECT_EQ(reconciler.switch_nexthops(desired_nexthops(next)).steps, 0U);
  EXPECT_EQ(reconciler.apply(desired_state(next)).steps, 0U) << "the full pass has nothing to add";
}

TEST(FastPath, AFailureIsToldAndTriedAgain) {
  auto kernel = fresh_kernel();
  Reconciler reconciler(kernel);
  reconciler.apply(desired_state(inputs()));
  auto next = inputs();
  next.choices[{"west", Family::kV4}].ordinal = 1;
  kernel.fail_at = kernel.changes;
  EXPECT_EQ(reconciler.switch_nexthops(desired_nexthops(next)).errors.size(), 1U);
  EXPECT_EQ(reconciler.switch_nexthops(desired_nexthops(next)).steps, 1U);
  EXPECT_EQ(kernel.nexthops, desired_nexthops(next));
}

}  // namespace
}  // namespace cw::routeagent
