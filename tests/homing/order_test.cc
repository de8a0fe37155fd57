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
  for (const auto* prefix : {"10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24", "fd00::/64"}) {
    for (const auto ordinal : home_order("east", *Prefix::parse(prefix), all))
      orders += std::to_string(ordinal);
    orders += ' ';
  }
  EXPECT_EQ(orders, "3210 2031 3021 0231 ");
}

TEST(Order, OnlyTheLostGatewaysPrefixesMove) {
  auto all = gateways(5);
  std::map<Prefix, std::uint32_t> before;
  std::map<std::uint32_t, int> load;
  for (unsigned i = 0; i < 1000; ++i) {
    const auto prefix = *Prefix::of(IpAddress::v4({10, static_cast<std::uint8_t>(i / 250),
                                                   static_cast<std::uint8_t>(i % 250), 0}),
                                    24);
    before[prefix] = *home_of("east", prefix, all);
    ++load[before[prefix]];
  }
  for (const auto& [ordinal, n] : load) EXPECT_NEAR(n, 200, 60) << ordinal;
  all[2].usable = false;
  for (const auto& [prefix, home] : before) {
    const auto now = *home_of("east", prefix, all);
    if (home == 2) {
      EXPECT_NE(now, 2U);
    } else {
      EXPECT_EQ(now, home);
    }
  }
}

TEST(Order, PrefersItsOwnNodeThenNotDrainingThenAnythingUsable) {
  auto all = gateways(3);
  const auto prefix = *Prefix::parse("10.1.0.0/24");
  all[1].own = PrefixSet(std::vector{prefix});
  EXPECT_EQ(home_of("east", prefix, all), 1U);
  all[1].draining = true;
  EXPECT_NE(home_of("east", prefix, all), 1U);
  all[0].usable = all[2].usable = false;
  EXPECT_EQ(home_of("east", prefix, all), 1U);
  all[1].usable = false;
  EXPECT_EQ(home_of("east", prefix, all), std::nullopt);
  EXPECT_EQ(home_of("east", prefix, {}), std::nullopt);
}

TEST(Order, TheOrderOfTheListDoesNotMatter) {
  auto all = gateways(6);
  const auto order = home_order("east", *Prefix::parse("10.1.0.0/24"), all);
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(home_order("east", *Prefix::parse("10.1.0.0/24"), all), order);
}

}  // namespace
}  // namespace cw::homing
