#include "homing/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace cw::homing {
namespace {

std::vector<GatewayView> gateways(unsigned count) {
  std::vector<GatewayView> all;
  for (unsigned i = 0; i < count; ++i) all.push_back({i, true, false, {}});
  return all;
}

// The order is part of the protocol: both sides of a tunnel must agree, so it may never change.
TEST(Order, TheOrderIsFixedForEver) {
  const auto all = gateways(4);
  std::string orders;
  for (const auto* node : {"worker-1", "worker-2", "ip-10-0-1-23.ec2.internal", ""}) {
    for (const auto ordinal : home_order({"east", node}, all)) orders += std::to_string(ordinal);
    orders += ' ';
  }
  EXPECT_EQ(orders, "0213 2301 0213 0321 ");
}

TEST(Order, OnlyTheLostGatewaysNodesMove) {
  auto all = gateways(5);
  std::map<std::string, std::uint32_t> before;
  std::map<std::uint32_t, int> load;
  for (unsigned i = 0; i < 1000; ++i) {
    const auto node = "worker-" + std::to_string(i);
    before[node] = *home_of({"east", node}, all);
    ++load[before[node]];
  }
  for (const auto& [ordinal, n] : load) EXPECT_NEAR(n, 200, 60) << ordinal;
  all[2].usable = false;
  for (const auto& [node, home] : before) {
    const auto now = *home_of({"east", node}, all);
    if (home == 2) {
      EXPECT_NE(now, 2U);
    } else {
      EXPECT_EQ(now, home);
    }
  }
}

TEST(Order, PrefersItsOwnNodeThenNotDrainingThenAnythingUsable) {
  auto all = gateways(3);
  const PrefixOwner node{"east", "worker-1"};
  all[1].node = "worker-1";
  EXPECT_EQ(home_of(node, all), 1U);
  all[1].draining = true;
  EXPECT_NE(home_of(node, all), 1U);
  all[0].usable = all[2].usable = false;
  EXPECT_EQ(home_of(node, all), 1U);
  all[1].usable = false;
  EXPECT_EQ(home_of(node, all), std::nullopt);
  EXPECT_EQ(home_of(node, {}), std::nullopt);
}

// A gateway whose node is not known yet has an empty name, too.
TEST(Order, TheClusterAsAWholeIsAtNoGatewaysOwnNode) {
  auto all = gateways(4);
  const auto order = home_order({"east", ""}, all);
  all[order[3]].node = "worker-1";
  EXPECT_EQ(home_order({"east", ""}, all), order);
}

TEST(Order, TheOrderOfTheListDoesNotMatter) {
  auto all = gateways(6);
  const auto order = home_order({"east", "worker-1"}, all);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(home_order({"east", "worker-1"}, all), order);
}

}  // namespace
}  // namespace cw::homing
