#include "tunnel/probe/detector.h"

#include <gtest/gtest.h>

#include <random>

#include "base/fake/sim_loop.h"
#include "tunnel/probe/batch.h"

namespace cw::tunnel {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A link of 10 ms round trip, driven as the prober drives it.
struct Link {
  explicit Link(double round_trip_loss, std::uint64_t seed = 1, const DetectorConfig& config = {})
      : detector(config), loss(round_trip_loss), dice(seed) {}
  Detector detector;
  TimePoint now{std::chrono::hours(1)};
  TimePoint next_send = now;
  double loss;
  std::mt19937_64 dice;
  std::vector<std::pair<TimePoint, std::uint64_t>> replies;
  unsigned falls = 0;
  unsigned degraded = 0;  // how often it became degraded
  bool was_usable = false;
  bool was_degraded = false;
  std::optional<TimePoint> fell_at;

  void run(Duration span) {
    for (const auto end = now + span; now < end; now += milliseconds(5)) {
      if (now >= next_send) {
        const auto sequence = detector.next_sequence(now);
        if (std::uniform_real_distribution<>(0, 1)(dice) >= loss) {
          replies.emplace_back(now + milliseconds(10), sequence);
        }
        next_send = now + detector.pace(now);
      }
      while (!replies.empty() && replies.front().first <= now) {
        detector.on_reply(replies.front().second, now);
        replies.erase(replies.begin());
      }
      const bool usable = detector.usable(now);
      if (was_usable && !usable) {
        ++falls;
        fell_at = now;
      }
      was_usable = usable;
      const bool is_degraded = detector.state(now) == LinkState::kDegraded;
      if (!was_degraded && is_degraded) ++degraded;
      was_degraded = is_degraded;
    }
  }
};

TEST(Detector, IsUpAfterItsFirstReply) {
  Link link(0);
  EXPECT_EQ(link.detector.state(link.now), LinkState::kConnecting);
  link.run(milliseconds(50));
  EXPECT_EQ(link.detector.state(link.now), LinkState::kUp);
  EXPECT_EQ(link.detector.rtt(), milliseconds(10));
}

TEST(Detector, IsDownWithinFourIntervalsOfTheLastReply) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Link link(0, seed);
    link.run(seconds(5) + milliseconds(seed * 7));
    link.loss = 1;
    const auto cut = link.now;
    link.run(seconds(2));
    ASSERT_TRUE(link.fell_at);
    EXPECT_LE(*link.fell_at - cut, milliseconds(400));
    EXPECT_EQ(link.detector.state(link.now), LinkState::kDown);
  }
}

TEST(Detector, AtTheSlowestSharedIntervalItIsDown700MsAfterTheLastReply) {
  DetectorConfig config;
  Detector detector(config);
  detector.set_interval(kSlowest);
  TimePoint now{hours(1)};
  TimePoint next = now;
  TimePoint last;
  for (int tick = 0; tick < 400; ++tick, now += kSlowest / 8) {
    if (now >= next) {
      const auto sequence = detector.next_sequence(now);
      next = now + detector.pace(now);
      if (tick < 200) {
        ASSERT_TRUE(detector.on_reply(sequence, now));
        last = now;
      }
    }
    ASSERT_EQ(detector.usable(now), now - last < 3 * kSlowest) << tick;
    if (tick >= 200 && !detector.usable(now)) {
      EXPECT_LE(now - last, milliseconds(700));
      return;
    }
  }
  FAIL() << "never down";
}

TEST(SharedInterval, NodesShareWhatAGatewayAnswersAndNeverGetSlow) {
  const Duration usual = milliseconds(150);
  EXPECT_EQ(shared_interval(usual, 1), usual);
  EXPECT_EQ(shared_interval(usual, 660), usual);
  EXPECT_EQ(shared_interval(usual, 661), milliseconds(160));
  EXPECT_EQ(shared_interval(usual, 700), milliseconds(160)) << "one node more changes nothing";
  EXPECT_EQ(shared_interval(usual, 1000), kSlowest);
  EXPECT_EQ(shared_interval(usual, 100'000), kSlowest);
  EXPECT_EQ(shared_interval(seconds(1), 1000), seconds(1)) << "as configured";
  for (std::size_t nodes = 1; nodes <= 1000; ++nodes) {
    const auto interval = std::chrono::duration<double>(shared_interval(usual, nodes)).count();
    EXPECT_LE(static_cast<double>(nodes) / interval, kMostAsked + 1.0) << nodes;
  }
}

TEST(Gathering, PausesOnlyWhileThousandsASecondCome) {
  Gathering gathering;
  TimePoint now{seconds(10)};
  const auto pauses = [&](unsigned requests, milliseconds gap, int rounds) {
    int count = 0;
    for (int i = 0; i < rounds; ++i) {
      now += gap;
      if (gathering.handled(requests, now)) ++count;
    }
    return count;
  };
  EXPECT_EQ(pauses(1, milliseconds(2), 500), 0) << "500 per second";
  EXPECT_GT(pauses(10, milliseconds(2), 500), 350) << "5,000 per second";
  EXPECT_EQ(pauses(0, milliseconds(2), 10), 0) << "nothing came";
  (void)pauses(1, milliseconds(2), 100);
  EXPECT_EQ(pauses(1, milliseconds(2), 100), 0) << "few again";
  (void)pauses(10, milliseconds(2), 100);
  now += seconds(5);
  EXPECT_FALSE(gathering.handled(1, now)) << "after a silence";
}

TEST(Detector, FivePercentLossEachWayForTenMinutesIsNoFall) {
  unsigned falls = 0;
  unsigned degraded = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Link link(1 - 0.95 * 0.95, seed);
    link.run(minutes(10));
    falls += link.falls;
    degraded += link.degraded;
  }
  EXPECT_EQ(falls, 0U);
  EXPECT_EQ(degraded, 0U) << "traffic moves away from a degraded link";
}

TEST(Detector, DegradedBeginsAndEndsOnce) {
  Link link(0);
  link.run(seconds(20));
  EXPECT_EQ(link.detector.state(link.now), LinkState::kUp);
  link.loss = 1 - 0.7 * 0.7;
  const auto began = link.now;
  while (link.detector.state(link.now) != LinkState::kDegraded && link.now - began < seconds(20))
    link.run(milliseconds(10));
  EXPECT_LT(link.now - began, seconds(6));
  link.run(minutes(1));
  EXPECT_LE(link.degraded, 1U + link.falls);
  link.loss = 0.01;
  link.run(seconds(20));
  EXPECT_EQ(link.detector.state(link.now), LinkState::kUp);
}

TEST(Detector, TheFirstLossesOfALinkDecideNothing) {
  Link link(0);
  link.run(milliseconds(150));
  link.loss = 1;
  link.run(milliseconds(150));
  link.loss = 0;
  link.run(milliseconds(200));
  EXPECT_EQ(link.detector.state(link.now), LinkState::kUp);
  EXPECT_EQ(link.degraded, 0U);
}

TEST(Detector, ThirtyPercentLossIsDegradedNotDown) {
  Link link(0.3);
  link.run(seconds(30));
  EXPECT_EQ(link.detector.state(link.now), LinkState::kDegraded);
  EXPECT_NEAR(link.detector.loss(link.now), 0.3, 0.2);
}

const DetectorConfig kTunnel{.hurry = 8};  // as between gateways

TEST(Detector, ALinkThatBeginsToLoseThirtyPercentEachWayIsDegradedNotDownByLuck) {
  unsigned falls = 0;
  unsigned degraded = 0;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Link link(0, seed, kTunnel);
    link.run(seconds(8));
    link.loss = 1 - 0.7 * 0.7;
    link.run(seconds(10));
    falls += link.falls;
    degraded += link.degraded > 0 ? 1 : 0;
  }
  EXPECT_EQ(degraded, 500U);
  EXPECT_LE(falls, 5U);
}

TEST(Detector, ALinkThatLosesMuchAndWasDownIsUsableWithoutInterruption) {
  unsigned interruptions = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Link link(0, seed, kTunnel);
    for (int fall = 0; fall < 4; ++fall) {
      link.loss = 0;
      link.run(seconds(4));
      link.loss = 1;
      link.run(seconds(1));
    }
    ASSERT_FALSE(link.detector.usable(link.now));
    link.loss = 1 - 0.7 * 0.7;
    while (!link.detector.usable(link.now)) link.run(milliseconds(10));
    for (int i = 0; i < 500; ++i) {
      const bool before = link.detector.usable(link.now);
      link.run(milliseconds(10));
      if (before && !link.detector.usable(link.now)) ++interruptions;
    }
  }
  EXPECT_LE(interruptions, 2U);  // each of them moves prefixes
}

TEST(Detector, ALinkThatLosesMuchAndThenDiesIsDownWithin600Ms) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Link link(1 - 0.7 * 0.7, seed, kTunnel);
    link.run(seconds(10));
    ASSERT_TRUE(link.detector.usable(link.now));
    link.loss = 1;
    const auto died = link.now;
    link.run(seconds(1));
    ASSERT_FALSE(link.detector.usable(link.now));
    EXPECT_LE(*link.fell_at - died, milliseconds(600)) << seed;
  }
}

TEST(Detector, ComesBackAfterSomeRepliesInARowHoweverOftenItFell) {
  Link link(0);
  link.run(seconds(2));
  for (int fall = 0; fall < 6; ++fall) {
    link.loss = 1;
    link.run(seconds(2));
    ASSERT_FALSE(link.detector.usable(link.now));
    link.loss = 0;
    const auto start = link.now;
    while (!link.detector.usable(link.now) && link.now - start < seconds(20)) {
      link.run(milliseconds(10));
    }
    EXPECT_GE(link.now - start, milliseconds(200)) << fall;
    EXPECT_LE(link.now - start, seconds(1)) << fall;
  }
}

TEST(Detector, DuplicateAndUnknownRepliesAreIgnored) {
  Detector detector{DetectorConfig{}};
  TimePoint now{seconds(1)};
  detector.on_reply(0, now);
  EXPECT_EQ(detector.state(now), LinkState::kConnecting);
  const auto sequence = detector.next_sequence(now);
  detector.on_reply(sequence + 1, now);
  EXPECT_EQ(detector.state(now), LinkState::kConnecting);
  detector.on_reply(sequence, now);
  EXPECT_EQ(detector.state(now), LinkState::kUp);
  const auto later = now + seconds(1);
  for (int i = 0; i < 10; ++i) (void)detector.next_sequence(later);
  detector.on_reply(sequence, later);  // a replay does not keep it up
  EXPECT_EQ(detector.state(later), LinkState::kDown);
}

}  // namespace
}  // namespace cw::tunnel
