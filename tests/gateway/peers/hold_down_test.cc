#include "gateway/peers/hold_down.h"

#include <gtest/gtest.h>

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const GatewayId kA{"west", 0};
const GatewayId kB{"west", 1};
const GatewayId kOther{"north", 0};
const TimePoint kStart{std::chrono::hours(1)};

struct Memory {
  HoldDown hold{seconds(120)};
  std::set<GatewayId> usable;
  void see(bool a, bool b, seconds after, bool other = true) {
    hold.update({{kA, a}, {kB, b}, {kOther, other}}, kStart + after);
    usable = hold.usable(kStart + after);
    usable.erase(kOther);
  }
};

TEST(HoldDown, AtTheFirstStartNobodyWaits) {
  Memory m;
  m.see(false, false, seconds(0));
  EXPECT_TRUE(m.usable.empty());
  m.see(false, true, seconds(1));
  m.see(true, true, seconds(2));
  EXPECT_EQ(m.usable, (std::set<GatewayId>{kA, kB}));
  EXPECT_FALSE(m.hold.next_end(kStart + seconds(2)));
}

TEST(HoldDown, ARecoveredGatewayWaits) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kB});
  m.see(true, true, seconds(20));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kB});
  EXPECT_EQ(m.hold.next_end(kStart + seconds(20)), kStart + seconds(140));
  m.see(true, true, seconds(139));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kB});
  m.see(true, true, seconds(140));
  EXPECT_EQ(m.usable, (std::set<GatewayId>{kA, kB}));
  EXPECT_FALSE(m.hold.next_end(kStart + seconds(140)));
}

TEST(HoldDown, EachFallStartsTheWaitAnew) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10));
  m.see(true, true, seconds(20));
  m.see(false, true, seconds(30));
  m.see(true, true, seconds(40));
  m.see(true, true, seconds(150));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kB});
  m.see(true, true, seconds(160));
  EXPECT_EQ(m.usable.size(), 2U);
}

TEST(HoldDown, AWaitingGatewayStepsInWhenTheOtherFalls) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10));
  m.see(true, true, seconds(20));
  m.see(true, false, seconds(30));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kA});
}

TEST(HoldDown, TheFirstBackOfADeadClusterDoesNotWait) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, false, seconds(10));
  EXPECT_TRUE(m.usable.empty());
  m.see(true, false, seconds(20));
  EXPECT_EQ(m.usable, std::set<GatewayId>{kA});
}

TEST(HoldDown, OtherClustersDoNotCount) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10), false);
  m.see(true, true, seconds(20), true);
  // north has no other gateway that could carry meanwhile.
  EXPECT_EQ(m.hold.usable(kStart + seconds(20)).count(kOther), 1U);
}

TEST(HoldDown, WhoIsUnpairedIsForgotten) {
  HoldDown hold(seconds(120));
  hold.update({{kA, true}, {kB, true}}, kStart);
  hold.update({{kB, true}}, kStart + seconds(1));
  hold.update({{kA, true}, {kB, true}}, kStart + seconds(2));
  EXPECT_EQ(hold.usable(kStart + seconds(2)).size(), 2U);
}

TEST(HoldDown, SomebodyIsUsableWheneverSomebodyWorks) {
  HoldDown hold(seconds(120));
  unsigned seed = 7;
  for (int step = 0; step < 2000; ++step) {
    seed = seed * 1103515245U + 12345U;
    const bool a = (seed >> 16U & 3U) != 0;
    const bool b = (seed >> 18U & 3U) != 0;
    const auto now = kStart + seconds(10) * step;
    hold.update({{kA, a}, {kB, b}}, now);
    EXPECT_EQ(hold.usable(now).empty(), !a && !b) << step;
    for (const auto& id : hold.usable(now)) EXPECT_TRUE(id == kA ? a : b);
  }
}

}  // namespace
}  // namespace cw::gateway
