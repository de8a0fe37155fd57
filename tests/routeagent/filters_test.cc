// Chains of other programs, as nft and iptables write them.
#include "routeagent/node/filters.h"

#include <gtest/gtest.h>

namespace cw::routeagent {
namespace {

using netlink::BaseChain;

BaseChain forward(bool drops, bool names_ours) {
  return {"ip", "filter", "FORWARD", BaseChain::Hook::kForward, 0, drops, names_ours};
}
BaseChain nat(std::int32_t priority) {
  return {"ip", "nat", "POSTROUTING", BaseChain::Hook::kPostroutingNat, priority, false, false};
}

TEST(FilterDoubts, APolicyThatDropsIsNamedUnlessTheTableKnowsOurDevices) {
  const auto doubts = filter_doubts(std::vector{forward(true, false)});
  ASSERT_EQ(doubts.size(), 1U);
  for (const auto* word : {"chain FORWARD of nft table ip filter", "cw-vx", "-I FORWARD -i cw-+"}) {
    EXPECT_NE(doubts[0].find(word), std::string::npos) << word << " in " << doubts[0];
  }
  EXPECT_TRUE(filter_doubts(std::vector{forward(true, true), forward(false, false)}).empty());
}

TEST(FilterDoubts, OnlyATranslationBeforeOurExemptionCounts) {
  EXPECT_TRUE(filter_doubts(std::vector{nat(100), nat(110), nat(90)}).empty());
  const auto doubts = filter_doubts(std::vector{nat(0)});
  ASSERT_EQ(doubts.size(), 1U);
  EXPECT_NE(doubts[0].find("table ip nat"), std::string::npos) << doubts[0];
}

}  // namespace
}  // namespace cw::routeagent
