// The reconciler on Linux, each test in a network namespace of its own. The kernel in memory cannot
// show whether Linux's dumps have exactly what was written. Needs root.
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <thread>

#include "base/fake/sim_loop.h"
#include "netlink/owner.h"
#include "netlink/rtnl/rtnl_kernel.h"
#include "routeagent/closed/guard.h"
#include "routeagent/node/reconcile.h"
#include "tests/routeagent/lives.h"

namespace cw::routeagent {
namespace {

void sh(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

// Runs `story` on a thread with a namespace of its own. The namespace has the underlay, a pod
// bridge and a device in place of the tunnel.
void in_own_namespace(const std::function<void(netlink::Kernel&)>& story) {
  std::thread thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    sh("ip link set lo up");
    for (const auto* link : {"eth0", "cni0", "cw-wg"}) {
      sh(std::string("ip link add ") + link + " type bridge && ip link set " + link + " up");
    }
    sh("ip link set cw-wg mtu 1420");
    sh("ip address add 10.0.0.3/24 dev eth0 && ip address add 10.0.0.33/24 dev eth0");
    sh("ip address add 10.1.3.1/24 dev cni0");
    SimLoop loop;
    auto kernel = netlink::RtnlKernel::open(loop);
    ASSERT_TRUE(kernel) << kernel.error().text;
    story(**kernel);
  });
  thread.join();
}

netlink::Reconciler guard_on(netlink::Kernel& kernel) { return {netlink::closed_owner(), kernel}; }

std::string all(const netlink::PassReport& report) {
  std::string text;
  for (const auto& error : report.errors) text += error + "\n";
  return text;
}

TEST(RealKernel, EveryStateIsReachedFromEveryOtherAndASecondPassIsQuiet) {
  in_own_namespace([](netlink::Kernel& kernel) {
    const auto states = lives();
    for (std::size_t from = 0; from < states.size(); ++from) {
      for (std::size_t to = 0; to < states.size(); ++to) {
        NodeReconciler(kernel).apply(states[from]);
        NodeReconciler reconciler(kernel);
        const auto report = reconciler.apply(states[to]);
        EXPECT_TRUE(report.errors.empty()) << from << " to " << to << ": " << all(report);
        EXPECT_EQ(reconciler.apply(states[to]).steps, 0U) << from << " to " << to;
      }
    }
  });
}

TEST(RealKernel, RemovalLeavesNothing) {
  in_own_namespace([](netlink::Kernel& kernel) {
    for (const auto& desired : lives()) {
      const auto first = NodeReconciler(kernel).apply(desired);
      EXPECT_TRUE(first.errors.empty()) << all(first);
      const auto report = remove_node(kernel);
      EXPECT_TRUE(report.errors.empty()) << all(report);
      EXPECT_TRUE(kernel.dump_rules()->empty());
      EXPECT_TRUE(kernel.dump_nexthops()->empty());
      EXPECT_TRUE(kernel.dump_routes(netlink::kToRemoteTable)->empty());
      EXPECT_TRUE(kernel.dump_routes(netlink::kFromTunnelTable)->empty());
      EXPECT_EQ(*kernel.dump_vxlan("cw-vx"), std::nullopt);
      EXPECT_EQ(*kernel.dump_nft("causeway"), "");
      EXPECT_EQ(remove_node(kernel).steps, 0U);
    }
  });
}

TEST(RealKernel, TheFastPathReplacesNexthopsAndNothingElse) {
  in_own_namespace([](netlink::Kernel& kernel) {
    NodeReconciler reconciler(kernel);
    auto in = inputs(true);
    reconciler.apply(desired_state(in));
    for (const std::uint32_t ordinal : {1U, 0U, 1U}) {  // to another gateway, to our tunnel, back
      for (auto& [key, choice] : in.choices) {
        if (key.cluster == "west") choice.ordinal = ordinal;
      }
      const auto report = reconciler.change_nexthops(desired_nexthops(in));
      EXPECT_EQ(report.steps, 2U);
      EXPECT_TRUE(report.errors.empty()) << all(report);
      EXPECT_EQ(reconciler.apply(desired_state(in)).steps, 0U);
    }
  });
}

TEST(RealKernel, TheGuardOfRemotePrefixesIsRepairedAndQuiet) {
  in_own_namespace([](netlink::Kernel& kernel) {
    sh("ip address add fd01:3::1/64 dev cni0 nodad");
    sh("ip route add default dev eth0; ip -6 route add default dev eth0");
    const std::vector<std::vector<Prefix>> states = {
        {net("10.2.0.0/16"), net("fd02::/32")}, {net("10.3.0.0/24")}, {}, {net("fd02::/48")}};
    for (const auto& from : states) {
      for (const auto& to : states) {
        guard_on(kernel).apply(guard_state(from));
        auto guard = guard_on(kernel);
        const auto report = guard.apply(guard_state(to));
        EXPECT_TRUE(report.errors.empty()) << all(report);
        EXPECT_EQ(guard.apply(guard_state(to)).steps, 0U);
      }
    }
    const auto wanted = guard_state(states[0]);
    auto guard = guard_on(kernel);
    guard.apply(wanted);
    // Counted packets are no drift.
    sh("ip rule del priority 93; ip -6 rule del priority 93");
    sh("ping -c1 -W0.1 10.2.0.1 >/dev/null 2>&1; ping -c1 -W0.1 fd02::1 >/dev/null 2>&1; true");
    sh("nft list counter inet causeway-closed leaving | grep -q 'packets [1-9]'");
    EXPECT_EQ(guard.apply(wanted).steps, 2U) << "the two rules";
    for (const auto* harm :
         {"ip rule del priority 93", "ip -6 rule del priority 93", "nft flush ruleset",
          "nft delete table inet causeway-closed", "nft flush chain inet causeway-closed to-remote",
          "nft delete element inet causeway-closed remote4 '{ 10.2.0.0/16 }'",
          "ip rule flush && ip rule add priority 32766 lookup main"}) {
      sh(harm);
      EXPECT_GT(guard.apply(wanted).steps, 0U) << harm;
      EXPECT_EQ(guard.apply(wanted).steps, 0U) << harm;
    }
    guard.apply({});
    EXPECT_TRUE(kernel.dump_rules()->empty());
    EXPECT_EQ(*kernel.dump_nft("causeway-closed"), "");
  });
}

TEST(RealKernel, DriftByHandIsRepaired) {
  in_own_namespace([](netlink::Kernel& kernel) {
    const auto desired = desired_state(inputs(true));
    NodeReconciler reconciler(kernel);
    reconciler.apply(desired);
    for (const auto* harm :
         {"ip link del cw-vx", "ip link set cw-vx down", "ip link set cw-vx mtu 1300",
          "ip -6 address flush dev cw-vx", "bridge fdb flush dev cw-vx",
          "ip -6 neigh flush dev cw-vx nud permanent", "ip nexthop flush proto 87",
          "ip route del 10.2.0.0/16 table 7487", "ip route flush table 7485",
          "ip route replace blackhole 10.2.0.0/16 table 7487 proto 87", "ip rule del priority 90",
          "ip -6 rule del priority 92", "nft flush ruleset", "nft flush chain inet causeway mss",
          "nft add element inet causeway remote4 '{ 10.77.0.0/16 }'",
          "sysctl -qw net.ipv4.ip_forward=0"}) {
      sh(std::string(harm) + " 2>/dev/null || true");
      EXPECT_GT(reconciler.apply(desired).steps, 0U) << harm;
      const auto again = reconciler.apply(desired);
      EXPECT_EQ(again.steps, 0U) << harm << ": " << all(again);
    }
  });
}

}  // namespace
}  // namespace cw::routeagent
