#include "gateway/comeback.h"

#include <gtest/gtest.h>

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart{std::chrono::hours(1)};
constexpr Duration kDetection = milliseconds(300);

struct Story {
  Comeback comeback;
  void look(seconds after, bool any, Duration stalled = Duration::zero(), bool others = true) {
    comeback.look(any, stalled, kDetection, others, kStart + after);
  }
  bool waits(seconds after) { return comeback.waits(kStart + after); }
};

TEST(Comeback, AStartBesideOthersWaitsUntilAllHaveSeenIt) {
  Story s;
  s.comeback.started(true, kStart);
  EXPECT_TRUE(s.waits(seconds(0)));
  EXPECT_TRUE(s.waits(seconds(9)));
  EXPECT_FALSE(s.waits(seconds(10)));
}

TEST(Comeback, AStartAloneDoesNotWait) {
  Story s;
  s.comeback.started(false, kStart);
  EXPECT_FALSE(s.waits(seconds(0)));
}

TEST(Comeback, TheFirstTunnelsAreNoComeback) {
  Story s;
  s.look(seconds(0), false);
  s.look(seconds(1), true);
  EXPECT_FALSE(s.waits(seconds(1)));
}

TEST(Comeback, LosingEverythingIsWaitedForAfterwards) {
  Story s;
  s.look(seconds(0), true);
  s.look(seconds(1), false);
  EXPECT_FALSE(s.waits(seconds(1)));
  s.look(seconds(50), true);
  EXPECT_TRUE(s.waits(seconds(50)));
  s.look(seconds(51), true);
  EXPECT_FALSE(s.waits(seconds(60)));
}

TEST(Comeback, AStallLongerThanDetectionIsOne) {
  Story s;
  s.look(seconds(0), true, milliseconds(200));
  EXPECT_FALSE(s.waits(seconds(0)));
  s.look(seconds(9), true, seconds(8));
  EXPECT_TRUE(s.waits(seconds(9)));
}

TEST(Comeback, WithoutOthersNothingWaits) {
  Story s;
  s.look(seconds(0), true, seconds(8), false);
  s.look(seconds(1), false, Duration::zero(), false);
  s.look(seconds(2), true, Duration::zero(), false);
  EXPECT_FALSE(s.waits(seconds(2)));
}

}  // namespace
}  // namespace cw::gateway
