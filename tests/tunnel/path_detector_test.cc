#include "tunnel/probe/path_detector.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <random>
#include <set>

namespace cw::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};

// A path that answers the packets for which `passes` is true, after 20 ms. It is looked at every 20
// ms.
struct Road {
  PathDetector detector{PathConfig{}, kStart};
  TimePoint now = kStart;
  std::size_t targets = 2;
  Duration rtt = milliseconds(20);
  std::function<bool(const PathDetector::Send&)> passes = [](const auto&) { return true; };
  std::deque<std::pair<TimePoint, std::uint64_t>> under_way;
  unsigned sent = 0;
  std::set<std::size_t> asked;  // targets
  unsigned falls = 0;
  bool nervous = false;  // other paths through the gateway lose probes all the time

  void go(Duration time) {
    const auto end = now + time;
    for (; now < end; now += milliseconds(5)) {
      while (!under_way.empty() && under_way.front().first <= now) {
        (void)detector.on_reply(under_way.front().second, now);
        under_way.pop_front();
      }
      if ((now - kStart) % milliseconds(20) != Duration::zero()) continue;
      if (nervous && now.time_since_epoch() % milliseconds(100) == Duration::zero()) {
        detector.suspect(now);
      }
      const auto before = detector.verdict();
      const auto send = detector.due(now, targets);
      if (before == PathVerdict::kForwards && detector.verdict() == PathVerdict::kSilent) ++falls;
      if (!send) continue;
      ++sent;
      asked.insert(send->target);
      if (passes(*send)) under_way.emplace_back(now + rtt, send->sequence);
    }
  }
  // The time until `what` is true.
  Duration until(const std::function<bool()>& what, Duration most) {
    const auto from = now;
    while (!what() && now - from < most) go(milliseconds(5));
    return now - from;
  }
};

TEST(PathDetector, ForwardsAfterTheFirstReplyAndThenAsksSlowly) {
  Road road;
  road.go(milliseconds(100));
  EXPECT_EQ(road.detector.verdict(), PathVerdict::kForwards);
  road.sent = 0;
  road.go(seconds(10));
  EXPECT_NEAR(road.sent, 50, 2);
  EXPECT_EQ(road.asked, std::set<std::size_t>{0});
  EXPECT_FALSE(road.detector.floor());
}

TEST(PathDetector, IsSilentWithinSevenHundredMilliseconds) {
  for (int phase = 0; phase < 200; phase += 20) {
    Road road;
    road.go(seconds(2) + milliseconds(phase));
    road.passes = [](const auto&) { return false; };
    const auto took =
        road.until([&] { return road.detector.verdict() == PathVerdict::kSilent; }, seconds(5));
    EXPECT_LE(took, milliseconds(700)) << phase;
    EXPECT_EQ(road.asked, (std::set<std::size_t>{0, 1})) << "each remote gateway was asked";
  }
}

TEST(PathDetector, APathThatNeverAnsweredIsSilentToo) {
  Road road;
  road.passes = [](const auto&) { return false; };
  EXPECT_EQ(road.detector.verdict(), PathVerdict::kUnknown);
  road.go(seconds(2));
  EXPECT_EQ(road.detector.verdict(), PathVerdict::kSilent);
}

TEST(PathDetector, ARemoteGatewayThatIsGoneIsNotThePathsFault) {
  Road road;
  road.go(seconds(1));
  road.passes = [](const auto& send) { return send.target == 1; };
  road.go(seconds(20));
  EXPECT_EQ(road.detector.verdict(), PathVerdict::kForwards);
  EXPECT_EQ(road.falls, 0U);
}

TEST(PathDetector, ComesBackAfterSomeRepliesInARowHoweverOftenItFell) {
  Road road;
  for (int fall = 0; fall < 6; ++fall) {
    road.passes = [](const auto&) { return true; };
    const auto took =
        road.until([&] { return road.detector.verdict() == PathVerdict::kForwards; }, minutes(1));
    EXPECT_LE(took, seconds(1)) << fall;
    EXPECT_GE(took, milliseconds(fall > 0 ? 80 : 0)) << fall;  // one reply is not enough
    road.go(seconds(1));
    road.passes = [](const auto&) { return false; };
    road.go(seconds(2));
    EXPECT_EQ(road.detector.verdict(), PathVerdict::kSilent);
  }
}

TEST(PathDetector, FivePercentLossEachWayForTenMinutesIsNoFallAndNoFloor) {
  for (unsigned seed = 0; seed < 5; ++seed) {
    Road road;
    std::mt19937 random(seed);
    road.passes = [&](const auto&) { return random() % 100 >= 5 && random() % 100 >= 5; };
    road.go(minutes(10));
    EXPECT_EQ(road.falls, 0U) << seed;
    EXPECT_FALSE(road.detector.floor()) << seed;
  }
}

TEST(PathDetector, FindsASilentFloorWithinSeconds) {
  for (const std::size_t floor : {1368U, 1280U, 1200U, 1400U, 1060U, 1369U, 1281U}) {
    Road road;
    road.nervous = floor % 2 == 1;
    if (floor > 1300) road.rtt = milliseconds(5);
    road.go(seconds(1));
    road.passes = [&](const auto& send) { return send.size <= floor; };
    const auto took = road.until([&] { return road.detector.floor().has_value(); }, seconds(30));
    EXPECT_LE(took, seconds(6)) << floor;
    ASSERT_TRUE(road.detector.floor());
    EXPECT_LE(*road.detector.floor(), floor);
    EXPECT_GT(*road.detector.floor() + 9, floor);
    EXPECT_EQ(road.detector.verdict(), PathVerdict::kForwards);
    EXPECT_EQ(road.falls, 0U);
    road.go(seconds(30));
    EXPECT_EQ(road.falls, 0U);
  }
}

TEST(PathDetector, FindsTheFloorAlsoWhenItWasThereFromTheStart) {
  Road road;
  road.passes = [](const auto& send) { return send.size <= 1368; };
  road.go(seconds(8));
  ASSERT_TRUE(road.detector.floor());
  EXPECT_LE(*road.detector.floor(), 1368U);
  EXPECT_GT(*road.detector.floor(), 1359U);
}

TEST(PathDetector, TriesTheFullSizeAgainAndKeepsTheFloorWhereItHolds) {
  Road road;
  road.passes = [](const auto& send) { return send.size <= 1368; };
  road.go(minutes(5));
  ASSERT_TRUE(road.detector.floor());
  EXPECT_EQ(road.falls, 0U);
  road.passes = [](const auto&) { return true; };
  road.go(minutes(2));
  EXPECT_FALSE(road.detector.floor());
}

TEST(PathDetector, AFloorThatSinksIsFoundAgain) {
  Road road;
  road.passes = [](const auto& send) { return send.size <= 1368; };
  road.go(seconds(10));
  road.passes = [](const auto& send) { return send.size <= 1300; };
  road.go(seconds(10));
  ASSERT_TRUE(road.detector.floor());
  EXPECT_LE(*road.detector.floor(), 1300U);
  EXPECT_GT(*road.detector.floor(), 1290U);
}

TEST(PathDetector, APathThatDiesDuringASearchIsNoticed) {
  Road road;
  road.go(seconds(1));
  road.passes = [](const auto& send) { return send.size <= 1368; };
  road.go(milliseconds(1500));
  road.passes = [](const auto&) { return false; };
  const auto took =
      road.until([&] { return road.detector.verdict() == PathVerdict::kSilent; }, seconds(10));
  EXPECT_LE(took, seconds(2));
}

TEST(PathDetector, DuplicateAndUnknownRepliesAreIgnored) {
  PathDetector detector(PathConfig{}, kStart);
  EXPECT_FALSE(detector.on_reply(0, kStart));
  const auto send = detector.due(kStart, 1);
  ASSERT_TRUE(send);
  EXPECT_TRUE(detector.on_reply(send->sequence, kStart));
  EXPECT_FALSE(detector.on_reply(send->sequence, kStart));
  EXPECT_FALSE(detector.on_reply(77, kStart));
  EXPECT_FALSE(detector.due(kStart + seconds(1), 0)) << "no target";
}

TEST(PathDetector, AllNodesTogetherAskFourHundredTimesPerSecond) {
  EXPECT_EQ(forwarding_interval(3, 2), milliseconds(200));
  for (const auto& [nodes, paths] : {std::pair<std::size_t, std::size_t>{1000, 2}, {1000, 20}}) {
    const auto each = std::chrono::duration<double>(forwarding_interval(nodes, paths)).count();
    EXPECT_NEAR(static_cast<double>(nodes * paths) / each, 400, 1);
  }
}

}  // namespace
}  // namespace cw::tunnel
