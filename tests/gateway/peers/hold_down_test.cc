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
  std::set<GatewayId> held;
  void see(bool a, bool b, seconds after, bool other = true) {
    hold.update({{kA, a}, {kB, b}, {kOther, other}}, kStart + after);
    held = hold.held(kStart + after);
  }
};

TEST(HoldDown, AtTheFirstStartNobodyWaits) {
  Memory m;
  m.see(false, false, seconds(0));
  m.see(false, true, seconds(1));
  m.see(true, true, seconds(2));
  EXPECT_TRUE(m.held.empty());
  EXPECT_FALSE(m.hold.next_end(kStart + seconds(2)));
}

TEST(HoldDown, ARecoveredGatewayWaits) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10));
  EXPECT_TRUE(m.held.empty());
  m.see(true, true, seconds(20));
  EXPECT_EQ(m.held, std::set<GatewayId>{kA});
  EXPECT_EQ(m.hold.next_end(kStart + seconds(20)), kStart + seconds(140));
  m.see(true, true, seconds(139));
  EXPECT_EQ(m.held, std::set<GatewayId>{kA});
  m.see(true, true, seconds(140));
  EXPECT_TRUE(m.held.empty());
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
  EXPECT_EQ(m.held, std::set<GatewayId>{kA});
  m.see(true, true, seconds(160));
  EXPECT_TRUE(m.held.empty());
}

TEST(HoldDown, AfterADeadClusterNobodyWaits) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, false, seconds(10));
  m.see(true, false, seconds(20));
  EXPECT_TRUE(m.held.empty());
  m.see(true, true, seconds(21));
  EXPECT_TRUE(m.held.empty());
}

TEST(HoldDown, OneClustersDeathIsNotAnothers) {
  Memory m;
  m.see(true, true, seconds(0));
  m.see(false, true, seconds(10), false);
  m.see(true, true, seconds(20), true);
  EXPECT_EQ(m.held, std::set<GatewayId>{kA});
}

TEST(HoldDown, WhoIsUnpairedIsForgotten) {
  HoldDown hold(seconds(120));
  hold.update({{kA, true}, {kB, true}}, kStart);
  hold.update({{kB, true}}, kStart + seconds(1));
  hold.update({{kA, true}, {kB, true}}, kStart + seconds(2));
  EXPECT_TRUE(hold.held(kStart + seconds(2)).empty());
}

}  // namespace
}  // namespace cw::gateway
