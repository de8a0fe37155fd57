// The node's own part of a pass, over the states of lives.h. tests/netlink/reconcile_test has the
// reconciler's laws.
#include "routeagent/node/reconcile.h"

#include <gtest/gtest.h>

#include "netlink/owner.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/node_kernel.h"

namespace cw::routeagent {
namespace {

NodeKernel fresh_kernel() {
  NodeKernel kernel;
  kernel.add_tunnel();
  kernel.links["cni0"] = {5, "cni0", "bridge", 1500, true, {}};
  kernel.addresses.push_back({"cni0", ip("10.1.3.1"), 24});
  return kernel;
}

TEST(NodeReconcile, EveryStateIsReachedFromEveryOtherAndASecondPassIsQuiet) {
  for (const auto& from : lives()) {
    for (const auto& to : lives()) {
      auto kernel = fresh_kernel();
      NodeReconciler(kernel).apply(from);
      NodeReconciler reconciler(kernel);  // as after a restart
      const auto report = reconciler.apply(to);
      EXPECT_TRUE(report.errors.empty()) << report.errors.front();
      EXPECT_EQ(kernel.vxlan, cw_vx(to).vxlan);
      EXPECT_EQ(kernel.fdb, cw_vx(to).fdb);
      EXPECT_EQ(kernel.rules, to.rules);
      EXPECT_EQ(kernel.nft["causeway"], "listing of\n" + nft_of(to));
      if (to.decided) {
        EXPECT_EQ(kernel.nexthops, to.nexthops);
      }
      EXPECT_EQ(reconciler.apply(to).steps, 0U);
    }
  }
}

TEST(NodeReconcile, FlowsToRemotePrefixesAreExempt) {
  auto kernel = fresh_kernel();
  NodeReconciler(kernel).apply(lives().front());
  std::vector<Prefix> remotes;
  for (const auto& remote : inputs().remotes) {
    remotes.insert(remotes.end(), remote.prefixes.begin(), remote.prefixes.end());
  }
  std::sort(remotes.begin(), remotes.end());
  EXPECT_EQ(kernel.forgotten, std::vector<std::vector<Prefix>>{remotes});
}

TEST(NodeReconcile, RemovalLeavesNothingAndTwiceIsNoError) {
  for (const auto& desired : lives()) {
    auto kernel = fresh_kernel();
    const auto untouched = fresh_kernel();
    NodeReconciler(kernel).apply(desired);
    EXPECT_TRUE(remove_node(kernel).errors.empty());
    EXPECT_EQ(kernel.whole(), untouched.whole());
    EXPECT_EQ(kernel.addresses, untouched.addresses);
    EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1") << "others need it too";
    EXPECT_EQ(remove_node(kernel).steps, 0U);
  }
}

TEST(NodeReconcile, AMovedGatewaysTunnelGoesWithWhatLedToIt) {
  auto kernel = fresh_kernel();
  const netlink::Rule transit{Family::kV4, 7486, 7486, "cw-vx"};
  kernel.rules.insert(transit);
  kernel.nft["causeway-gateway"] = "the gateway's";
  auto moved = desired_state(inputs());
  NodeReconciler reconciler(kernel);
  reconciler.apply(moved);
  EXPECT_EQ(kernel.rules.count(transit), 1U);
  moved.stray_tunnel = "wireguard";
  EXPECT_TRUE(reconciler.apply(moved).errors.empty());
  EXPECT_EQ(kernel.links.count("cw-wg"), 0U);
  EXPECT_EQ(kernel.rules.count(transit), 0U);
  EXPECT_EQ(kernel.nft.count("causeway-gateway"), 0U);
}

TEST(NodeReconcile, AChangeOfGatewayIsOneStepAClusterAndFamily) {
  auto kernel = fresh_kernel();
  NodeReconciler reconciler(kernel);
  reconciler.apply(desired_state(inputs()));
  auto next = inputs();
  next.choices[{"west", Family::kV4}].ordinal = 1;
  next.choices[{"west", Family::kV6}].ordinal = 1;
  EXPECT_EQ(reconciler.change_nexthops(desired_nexthops(next)).steps, 2U);
  EXPECT_EQ(kernel.nexthops, desired_nexthops(next));
  EXPECT_EQ(reconciler.apply(desired_state(next)).steps, 0U) << "the full pass has nothing to add";
}

}  // namespace
}  // namespace cw::routeagent
