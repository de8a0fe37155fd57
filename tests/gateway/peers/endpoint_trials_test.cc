#include "gateway/peers/endpoint_trials.h"

#include <gtest/gtest.h>

#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const GatewayId kPeer{"west", 0};
const Endpoint kFirst = at("192.0.2.1:4500");
const Endpoint kSecond = at("192.0.2.2:4500");
const TimePoint kStart{std::chrono::hours(1)};
const PeerSigns kNothing;

struct Trials {
  EndpointTrials trials{seconds(15)};
  std::vector<Endpoint> candidates{kFirst, kSecond};
  std::optional<Endpoint> pick(seconds after, const PeerSigns& signs = kNothing) {
    return trials.pick(kPeer, candidates, signs, kStart + after).endpoint;
  }
  bool nudged(milliseconds after, const PeerSigns& signs = kNothing) {
    return trials.pick(kPeer, candidates, signs, kStart + after).nudge;
  }
};

TEST(EndpointTrials, GoRoundUntilOneWorks) {
  Trials t;
  EXPECT_EQ(t.pick(seconds(0)), kFirst);
  EXPECT_EQ(t.pick(seconds(4)), kFirst);
  EXPECT_EQ(t.pick(seconds(5)), kSecond);
  EXPECT_EQ(t.pick(seconds(9)), kSecond);
  EXPECT_EQ(t.pick(seconds(10)), kFirst);
}

TEST(EndpointTrials, KeepWhatWorks) {
  Trials t;
  t.pick(seconds(0));
  EXPECT_EQ(t.pick(seconds(5)), kSecond);
  for (int n = 6; n < 100; ++n) EXPECT_EQ(t.pick(seconds(n), {true, {}, 0, true}), kSecond);
}

TEST(EndpointTrials, AHandshakeOrAByteIsProgress) {
  Trials t;
  t.pick(seconds(0));
  EXPECT_EQ(t.pick(seconds(4), {false, WallTime(seconds(1)), 0, true}), kFirst);
  EXPECT_EQ(t.pick(seconds(8), {false, WallTime(seconds(1)), 10, true}), kFirst);
  EXPECT_EQ(t.pick(seconds(22), {false, WallTime(seconds(1)), 20, true}), kFirst);
}

TEST(EndpointTrials, BytesWithoutASessionAreNoProgress) {
  Trials t;
  t.pick(seconds(0));
  EXPECT_EQ(t.pick(seconds(4), {false, {}, 148, false}), kFirst);
  EXPECT_EQ(t.pick(seconds(5), {false, {}, 296, false}), kSecond);
}

TEST(EndpointTrials, ATryWithoutHandshakeIsNudgedOnce) {
  Trials t;
  EXPECT_FALSE(t.nudged(milliseconds(0)));
  EXPECT_FALSE(t.nudged(milliseconds(1400)));
  EXPECT_TRUE(t.nudged(milliseconds(1500)));
  EXPECT_FALSE(t.nudged(milliseconds(2500)));
  EXPECT_FALSE(t.nudged(milliseconds(5000)));  // the next candidate
  EXPECT_TRUE(t.nudged(milliseconds(6500)));
}

TEST(EndpointTrials, WhatWorkedIsNotNudged) {
  Trials t;
  t.nudged(milliseconds(0));
  EXPECT_FALSE(t.nudged(milliseconds(500), {true, {}, 5, true}));
  for (int n = 1000; n < 15000; n += 500) {
    EXPECT_FALSE(t.nudged(milliseconds(n), {false, {}, 5, true})) << n;
  }
}

TEST(EndpointTrials, WhatWorkedIsGivenUpOnlyAfterALongerSilence) {
  Trials t;
  t.pick(seconds(0));
  t.pick(seconds(1), {true, {}, 5, true});
  EXPECT_EQ(t.pick(seconds(15), {false, {}, 5, true}), kFirst);
  EXPECT_EQ(t.pick(seconds(16), {false, {}, 5, true}), kSecond);
  EXPECT_EQ(t.pick(seconds(21), {false, {}, 5, true}), kFirst);
}

TEST(EndpointTrials, WithoutCandidatesThePeerMustCallUs) {
  Trials t;
  t.candidates.clear();
  EXPECT_EQ(t.pick(seconds(0)), std::nullopt);
  EXPECT_EQ(t.pick(seconds(60)), std::nullopt);
}

TEST(EndpointTrials, ANewListKeepsTheCandidateInUse) {
  Trials t;
  t.pick(seconds(0));
  EXPECT_EQ(t.pick(seconds(5)), kSecond);
  t.candidates = {at("192.0.2.9:1"), kSecond};
  EXPECT_EQ(t.pick(seconds(6)), kSecond);
  t.candidates = {at("192.0.2.9:1")};
  EXPECT_EQ(t.pick(seconds(7)), at("192.0.2.9:1"));
}

// A name that leads elsewhere now, or a sighting that was forgotten: running traffic goes on.
TEST(EndpointTrials, WhatWorksStaysWhenItIsNoCandidateAnyMore) {
  Trials t;
  t.pick(seconds(0));
  EXPECT_EQ(t.pick(seconds(1), {true, {}, 5, true}), kFirst);
  t.candidates = {kSecond};
  for (int n = 2; n < 60; ++n) EXPECT_EQ(t.pick(seconds(n), {true, {}, 5, true}), kFirst);
  EXPECT_EQ(t.pick(seconds(70), {false, {}, 5, true}), kFirst) << "it may restart";
  EXPECT_EQ(t.pick(seconds(75), {false, {}, 5, true}), kSecond);
}

TEST(EndpointTrials, OneCandidateStays) {
  Trials t;
  t.candidates = {kFirst};
  for (int n = 0; n < 60; n += 5) EXPECT_EQ(t.pick(seconds(n)), kFirst);
}

TEST(EndpointTrials, ForgottenPeersStartAgain) {
  Trials t;
  t.pick(seconds(0));
  t.pick(seconds(5));
  t.trials.keep_only({});
  EXPECT_EQ(t.pick(seconds(6)), kFirst);
}

}  // namespace
}  // namespace cw::gateway
