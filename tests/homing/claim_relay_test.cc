#include "homing/claim_relay.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace cw::homing {
namespace {

class Relay : public testing::Test {
 protected:
  using Picked = std::vector<Share>;
  static inline const GatewayId kWest0{"west", 0};
  static inline const GatewayId kWest1{"west", 1};
  // In the order of n.
  static Share node(int n) {
    Share share;
    share.owner.bytes[0] = static_cast<std::uint8_t>(n / 256);
    share.owner.bytes[1] = static_cast<std::uint8_t>(n % 256);
    return share;
  }

  Relay() { relay_.set_targets({kWest0, kWest1}); }
  void claim(int n, std::uint64_t epoch = 1) {
    claims_[node(n)] = {0, epoch};
    relay_.changed("west", node(n));
  }
  Picked pick(std::size_t limit = 8, const GatewayId& to = kWest0) {
    return relay_.pick(to, claims_, limit, now_);
  }
  void answer(const Picked& picked, const GatewayId& from = kWest0) {
    for (const auto& share : picked) relay_.heard(from, share, claims_.at(share));
  }

  TimePoint now_{std::chrono::hours(1)};
  ClaimRelay relay_;
  ClaimRelay::Claims claims_;
};

TEST_F(Relay, SaysNewsOnceAndAgainWhenNoAnswerCame) {
  for (int n = 0; n < 3; ++n) claim(n);
  EXPECT_TRUE(relay_.due(kWest0, now_));
  EXPECT_EQ(pick(), (Picked{node(0), node(1), node(2)}));
  EXPECT_FALSE(relay_.due(kWest0, now_));
  EXPECT_EQ(pick(), Picked{});
  EXPECT_EQ(pick(8, kWest1).size(), 3U) << "the other gateway has not got it";
  answer({node(1)});
  now_ += ClaimRelay::kAgain;
  EXPECT_TRUE(relay_.due(kWest0, now_));
  EXPECT_EQ(pick(4), (Picked{node(0), node(2), node(1)})) << "then known ones";
  answer({node(0), node(2)});
  now_ += ClaimRelay::kAgain;
  EXPECT_EQ(pick(2).size(), 2U) << "known ones in turns";
  EXPECT_FALSE(relay_.due(kWest0, now_));
}

TEST_F(Relay, ANewClaimOfANodeThatWaitsForItsAnswerIsSaidAtOnceAndOnlyItIsSaidAgain) {
  claim(0);
  EXPECT_EQ(pick().size(), 1U);
  const auto first = claims_.at(node(0));
  now_ += ClaimRelay::kAgain / 2;
  claim(0, 2);
  EXPECT_EQ(pick(), Picked{node(0)});
  relay_.heard(kWest0, node(0), first);
  EXPECT_FALSE(relay_.holds(kWest0, node(0), claims_.at(node(0)))) << "a late answer";
  now_ += ClaimRelay::kAgain / 2;
  EXPECT_EQ(pick(), Picked{}) << "it was said a moment ago";
  now_ += ClaimRelay::kAgain / 2;
  EXPECT_EQ(pick(), Picked{node(0)});
}

TEST_F(Relay, RepetitionsFillHalfAProbeAtATime) {
  for (int n = 0; n < 100; ++n) claim(n);
  while (relay_.due(kWest0, now_)) (void)pick(8);
  now_ += ClaimRelay::kAgain;
  EXPECT_EQ(pick(8).size(), 4U);
  EXPECT_FALSE(relay_.due(kWest0, now_));
  now_ += ClaimRelay::kAgain;
  EXPECT_EQ(pick(8).front(), node(4)) << "the oldest first";
}

TEST_F(Relay, UnconfirmedClaimsLeaveRoomForTheTurnsOfOthers) {
  for (int n = 0; n < 200; ++n) claim(n);
  while (relay_.due(kWest0, now_)) (void)pick(32);
  for (int n = 100; n < 200; ++n) answer({node(n)});
  std::set<Share> repeated;
  for (int probe = 0; probe < 30; ++probe) {
    now_ += ClaimRelay::kAgain;
    for (const auto& share : pick(32)) repeated.insert(share);
  }
  EXPECT_EQ(repeated.size(), 200U);
}

TEST_F(Relay, ANewTargetAndOneThatStartedAgainGetEverything) {
  for (int n = 0; n < 20; ++n) claim(n);
  answer(pick(32));
  EXPECT_FALSE(relay_.due(kWest0, now_));
  relay_.forget(kWest0);
  EXPECT_FALSE(relay_.holds(kWest0, node(0), claims_.at(node(0))));
  EXPECT_TRUE(relay_.due(kWest0, now_));
  EXPECT_EQ(pick(32).size(), 20U);
  relay_.set_targets({kWest0, {"west", 2}});
  EXPECT_FALSE(relay_.due(kWest1, now_));
  EXPECT_EQ(pick(32, {"west", 2}).size(), 20U);
}

TEST_F(Relay, AnOverruledClaimIsNoNews) {
  claim(0);
  (void)pick();
  relay_.overruled(kWest0, node(0), claims_.at(node(0)));
  EXPECT_FALSE(relay_.holds(kWest0, node(0), claims_.at(node(0))));
  now_ += ClaimRelay::kAgain;
  claim(1);
  EXPECT_EQ(pick(1), Picked{node(1)});
}

TEST_F(Relay, AClaimThatWasLostAndComesBackTheSameIsNews) {
  claim(0);
  answer(pick());
  claims_.erase(node(0));
  relay_.lost("west", node(0));
  claim(0);
  EXPECT_EQ(pick(), Picked{node(0)});
}

TEST_F(Relay, TargetsOfOtherClustersHearNothing) {
  relay_.set_targets({kWest0, {"north", 0}});
  (void)pick();
  EXPECT_TRUE(relay_.pick({"north", 0}, {}, 8, now_).empty());
  claim(0);
  EXPECT_FALSE(relay_.due({"north", 0}, now_));
  EXPECT_TRUE(relay_.due(kWest0, now_));
}

// Claims change, probes and answers are lost. In the end each target holds every claim.
TEST_F(Relay, EverythingIsHeldInTheEnd) {
  std::mt19937 dice(7);
  std::map<GatewayId, ClaimRelay::Claims> held;
  for (int step = 0; step < 20'000; ++step) {
    now_ += std::chrono::milliseconds(dice() % 4);
    const int n = static_cast<int>(dice() % 200);
    if (step < 10'000 && dice() % 4 == 0) claim(n, dice() % 1000);
    if (step < 10'000 && dice() % 50 == 0) {
      claims_.erase(node(n));
      relay_.lost("west", node(n));
    }
    const auto& to = dice() % 2 == 0 ? kWest0 : kWest1;
    if (dice() % 500 == 0 && step < 10'000) {
      held[to].clear();
      relay_.forget(to);
    }
    const auto picked = pick(1 + dice() % 32, to);
    std::set<Share> once(picked.begin(), picked.end());
    ASSERT_EQ(once.size(), picked.size());
    if (dice() % 3 == 0) continue;  // the probe is lost
    for (const auto& share : picked) held[to][share] = claims_.at(share);
    if (dice() % 3 != 0) answer(picked, to);  // or the answer is
  }
  EXPECT_GT(claims_.size(), 50U);
  for (const auto& to : {kWest0, kWest1}) {
    EXPECT_FALSE(relay_.due(to, now_));
    for (const auto& [share, claim] : claims_) {
      EXPECT_EQ(held[to][share], claim);
      EXPECT_TRUE(relay_.holds(to, share, claim));
    }
  }
}

}  // namespace
}  // namespace cw::homing
