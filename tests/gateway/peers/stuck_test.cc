#include "gateway/peers/stuck.h"

#include <gtest/gtest.h>

namespace cw::gateway {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const GatewayId kPeer{"west", 0};

class StuckStory : public ::testing::Test {
 protected:
  // One second passes with these bytes.
  Remedy second(std::uint64_t rx, std::uint64_t tx, bool handshake = false) {
    now_ += seconds(1);
    seen_.rx_bytes += rx;
    seen_.tx_bytes += tx;
    if (handshake) {
      seen_.rx_bytes += 92;
      seen_.last_handshake = WallTime{now_.time_since_epoch()};
    }
    return stuck_.record(kPeer, seen_, now_);
  }
  // The first remedy within `count` seconds, and the second in which it came.
  std::pair<Remedy, int> seconds_of(int count, std::uint64_t rx, std::uint64_t tx) {
    for (int n = 1; n <= count; ++n) {
      if (const auto remedy = second(rx, tx); remedy != Remedy::kNone) return {remedy, n};
    }
    return {Remedy::kNone, count};
  }
  void live() {
    second(0, 148, true);
    EXPECT_EQ(seconds_of(60, 1000, 1000).first, Remedy::kNone);
  }

  PeerProgress seen_;
  TimePoint now_{std::chrono::hours(1)};
  StuckPeers stuck_{seconds(15)};
};

TEST_F(StuckStory, ALivePeerIsLeftAlone) {
  live();
  EXPECT_EQ(second(0, 148, true), Remedy::kNone);
  EXPECT_EQ(seconds_of(600, 32, 1000).first, Remedy::kNone);
  EXPECT_FALSE(stuck_.stuck(kPeer));
}

TEST_F(StuckStory, ADeadPeerIsNotStuck) {
  live();
  EXPECT_EQ(seconds_of(600, 0, 1000).first, Remedy::kNone) << "no handshake came of it";
}

TEST_F(StuckStory, WithHandshakesButNoDataThePeerIsReplacedAndThenTheDevice) {
  live();
  EXPECT_EQ(seconds_of(20, 0, 1000).first, Remedy::kNone);
  second(0, 148, true);
  EXPECT_EQ(seconds_of(60, 0, 1000), (std::pair{Remedy::kPeer, 15}));
  EXPECT_TRUE(stuck_.stuck(kPeer));
  seen_ = {};  // as a new peer begins
  EXPECT_EQ(seconds_of(60, 0, 1000).first, Remedy::kNone) << "the new peer has no session yet";
  second(0, 148, true);
  EXPECT_EQ(seconds_of(60, 0, 1000).first, Remedy::kDevice);
  second(0, 148, true);
  EXPECT_EQ(seconds_of(3600, 0, 1000).first, Remedy::kNone) << "given up";
  EXPECT_TRUE(stuck_.stuck(kPeer));
  second(1000, 1000);
  EXPECT_FALSE(stuck_.stuck(kPeer)) << "data";
}

TEST_F(StuckStory, RepeatedHandshakesDoNotPutItOff) {
  live();
  Remedy found = Remedy::kNone;
  for (int n = 0; n < 30 && found == Remedy::kNone; ++n) {
    found = n % 5 == 0 ? second(0, 148, true) : second(0, 1000);
  }
  EXPECT_EQ(found, Remedy::kPeer);
}

TEST_F(StuckStory, APeerThatWeSendNothingMaySendNothing) {
  live();
  second(0, 148, true);
  EXPECT_EQ(seconds_of(600, 0, 0).first, Remedy::kNone);
}

TEST_F(StuckStory, TheDeviceIsReplacedAtMostEveryTenMinutes) {
  for (int round = 0; round < 2; ++round) {
    live();
    second(0, 148, true);
    EXPECT_EQ(seconds_of(60, 0, 1000).first, Remedy::kPeer);
    second(0, 148, true);
    EXPECT_EQ(seconds_of(60, 0, 1000).first, round == 0 ? Remedy::kDevice : Remedy::kNone);
  }
  EXPECT_EQ(seconds_of(600, 0, 1000).first, Remedy::kDevice);
}

TEST_F(StuckStory, AnUnpairedPeerIsForgotten) {
  live();
  second(0, 148, true);
  seconds_of(60, 0, 1000);
  stuck_.keep_only({});
  EXPECT_FALSE(stuck_.stuck(kPeer));
}

}  // namespace
}  // namespace cw::gateway
