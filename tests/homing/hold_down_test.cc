#include "homing/hold_down.h"

#include <gtest/gtest.h>

namespace cw::homing {
namespace {

using std::chrono::seconds;

struct Gateway {
  // Good or not, `after` seconds from the last look.
  void look(bool good, int after) {
    now += seconds(after);
    hold_down.look(good, seconds(10), now);
  }
  // Falls, comes back at once, and returns how long it is held.
  Duration flap(int after) {
    look(false, after);
    look(true, 1);
    return hold_down.end() - now;
  }
  HoldDown hold_down;
  TimePoint now{std::chrono::hours(1)};
};

TEST(HoldDown, AGatewayThatIsGoodForTheFirstTimeIsNotHeld) {
  Gateway gateway;
  gateway.look(false, 0);
  EXPECT_FALSE(gateway.hold_down.active(gateway.now));
  gateway.look(true, 5);
  EXPECT_FALSE(gateway.hold_down.active(gateway.now));
}

TEST(HoldDown, AGatewayThatCameBackIsHeldForTheConfiguredTime) {
  Gateway gateway;
  gateway.look(true, 0);
  EXPECT_EQ(gateway.flap(60), seconds(10));
  EXPECT_TRUE(gateway.hold_down.active(gateway.now + seconds(9)));
  EXPECT_FALSE(gateway.hold_down.active(gateway.now + seconds(10)));
  gateway.look(false, 1);
  EXPECT_FALSE(gateway.hold_down.active(gateway.now)) << "down, not held";
}

TEST(HoldDown, EachFallSoonAfterAComebackDoublesTheTimeUpTo16Times) {
  Gateway gateway;
  gateway.look(true, 0);
  EXPECT_EQ(gateway.flap(60), seconds(10));
  EXPECT_EQ(gateway.flap(1), seconds(20));
  EXPECT_EQ(gateway.flap(30), seconds(40)) << "after its end, and still soon";
  EXPECT_EQ(gateway.flap(1), seconds(80));
  EXPECT_EQ(gateway.flap(1), seconds(160));
  EXPECT_EQ(gateway.flap(1), seconds(160));
  EXPECT_EQ(gateway.flap(320), seconds(10)) << "calm for twice the time";
}

TEST(HoldDown, LooksInBetweenChangeNothing) {
  Gateway gateway;
  gateway.look(true, 0);
  gateway.flap(60);
  const auto end = gateway.hold_down.end();
  for (int n = 0; n < 5; ++n) gateway.look(true, 1);
  EXPECT_EQ(gateway.hold_down.end(), end);
}

}  // namespace
}  // namespace cw::homing
