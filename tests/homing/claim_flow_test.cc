// The budget of claims, in virtual time.
#include "homing/claim_flow.h"

#include <gtest/gtest.h>

#include "homing/drain_words.h"
#include "homing/move_log.h"
#include "tests/homing/scene.h"

namespace cw::homing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Flow {
  ClaimFlow flow;
  TimePoint now{std::chrono::hours(1)};
  std::mt19937 dice{1};

  Flow() { pair(4); }
  void pair(unsigned west_nodes) {
    flow.set_clusters(
        {{"west", remote_cluster(2, 2, west_nodes)}, {"north", remote_cluster(3, 2, 4)}});
  }
  static ClaimKey key(const std::string& cluster, unsigned n) {
    return {cluster, share(node_name(n))};
  }
  std::size_t claim(unsigned n, std::uint32_t ordinal) {
    return flow.take({{key("west", n), {"west", ordinal}}}, now).size();
  }
  // Claims a node for gateway 0 or 1, at random.
  std::size_t flip(unsigned times, Duration gap = {}) {
    std::size_t counted = 0;
    for (unsigned n = 0; n < times; ++n, now += gap) {
      counted += claim(0, static_cast<std::uint32_t>(dice() % 2));
      const auto next = flow.next(now);
      if (next && *next <= now) counted += flow.release(now).size();
    }
    return counted;
  }
};

TEST(ClaimFlow, AFailoverOfEveryNodeCountsAtOnce) {
  Flow world;
  world.pair(200);
  for (const std::uint32_t carrier : {0U, 1U}) {  // the first claims, and a crash just after
    for (unsigned n = 0; n < 200; ++n) EXPECT_EQ(world.claim(n, carrier), 1U) << n;
  }
  // Another crash after some seconds.
  world.now += seconds(4);
  for (unsigned n = 0; n < 200; ++n) EXPECT_EQ(world.claim(n, 0), 1U) << n;
  EXPECT_FALSE(world.flow.next(world.now));
}

TEST(ClaimFlow, AFloodOfChangesGetsFiftyASecondAndTheNewestCounts) {
  Flow world;
  const auto burst = world.flip(1000);
  EXPECT_EQ(burst, 256U);
  const auto later = world.flip(20'000, std::chrono::microseconds(500));  // ten seconds
  EXPECT_LE(later, 510U);
  EXPECT_GE(later, 50U) << "its claims take effect, within the budget";
  // The flood ends: its last claim counts soon.
  (void)world.claim(0, 7);
  for (int n = 0; n < 20; ++n) {
    world.now += milliseconds(50);
    (void)world.flow.release(world.now);
  }
  EXPECT_EQ(world.flow.counted().at(Flow::key("west", 0)).ordinal, 7U);
  EXPECT_FALSE(world.flow.next(world.now));
}

TEST(ClaimFlow, WhatWaitsIsSaidAndCountsInTheOrderInWhichItCame) {
  Flow world;
  world.pair(200);
  for (unsigned n = 0; n < 200; ++n) (void)world.claim(n, 0);
  (void)world.flip(1000);
  (void)world.flow.release(world.now += seconds(1));
  (void)world.flip(1000);
  for (unsigned n = 1; n < 200; ++n) {
    EXPECT_EQ(world.claim(n, 1), 0U);
    EXPECT_TRUE(world.flow.waits(Flow::key("west", n)));
  }
  (void)world.claim(50, 0);  // the claim that counts: nothing waits
  EXPECT_FALSE(world.flow.waits(Flow::key("west", 50)));
  std::size_t counted = 0;
  while (const auto next = world.flow.next(world.now)) {
    ASSERT_LE(*next - world.now, ClaimFlow::kPause);
    world.now = *next;
    for (const auto& [key, claimed] : world.flow.release(world.now)) {
      counted += claimed.ordinal;
      EXPECT_FALSE(world.flow.waits(key));
    }
    for (unsigned n = 1; n < 199; ++n) {
      EXPECT_LE(world.flow.waits(Flow::key("west", n)),
                world.flow.waits(Flow::key("west", n + 1)) || n + 1 == 50);
    }
  }
  EXPECT_GE(counted, 198U);
}

TEST(ClaimFlow, OneClustersFloodDelaysNoOther) {
  Flow world;
  (void)world.flip(1000);
  EXPECT_EQ(world.flow.take({{Flow::key("north", 0), {"north", 1}}}, world.now).size(), 1U);
}

TEST(ClaimFlow, AnnouncingLessAndMoreEarnsNothing) {
  Flow world;
  world.pair(200);
  EXPECT_EQ(world.flip(2000), 400U);
  for (int n = 0; n < 10; ++n) {
    world.pair(4);
    world.pair(200);
    EXPECT_EQ(world.flip(1000), 0U);
  }
}

TEST(ClaimFlow, AClaimThatIsWithdrawnStopsCountingAtOnce) {
  Flow world;
  const ClaimFlow::Claimed all{{Flow::key("west", 0), {"west", 1}},
                               {Flow::key("west", 1), {"west", 1}}};
  world.flow.set(all, world.now);
  EXPECT_EQ(world.flow.counted(), all);
  (void)world.flip(1000);
  EXPECT_EQ(world.claim(1, 0), 0U);
  world.flow.set({}, world.now);
  EXPECT_TRUE(world.flow.counted().empty());
  EXPECT_FALSE(world.flow.waits(Flow::key("west", 1)));
  EXPECT_FALSE(world.flow.next(world.now));
  world.flow.set(all, world.now);  // again, and its budget is spent
  EXPECT_TRUE(world.flow.counted().empty());
  world.flow.set_clusters({});
  EXPECT_FALSE(world.flow.waits(Flow::key("west", 1)));
}

TEST(DrainWords, OfAFloodOneCountsPerSecond) {
  DrainWords words;
  TimePoint now{seconds(100)};
  const GatewayId id{"west", 0};
  EXPECT_FALSE(words.take(id, false, now));
  std::size_t changes = 0;
  bool last = false;
  for (int n = 0; n < 12'800; ++n, now += milliseconds(10)) {
    const bool counts = words.take(id, n % 2 == 0, now);
    changes += counts != last ? 1 : 0;
    last = counts;
  }
  EXPECT_LE(changes, 128U + 128U);
  EXPECT_TRUE(words.take({"north", 0}, true, now)) << "another cluster";
  now += seconds(2);
  EXPECT_TRUE(words.take(id, true, now));
  now += seconds(2);
  EXPECT_FALSE(words.take(id, false, now)) << "the newest statement counts in the end";
}

TEST(MoveLog, HasALinePerSecondAndClusterThatCountsAll) {
  MoveLog log;
  TimePoint now{seconds(100)};
  log.add({"west", 1}, 40);
  log.add({"west", 2}, 2);
  log.add({"north", 0}, 1);
  EXPECT_EQ(log.lines(now), (std::vector<MoveLog::Line>{{"north", {0}, 1}, {"west", {1, 2}, 42}}));
  std::size_t lines = 0;
  std::size_t count = 0;
  for (int n = 0; n < 10'000; ++n, now += milliseconds(1)) {
    log.add({"west", static_cast<std::uint32_t>(n % 2)}, 1);
    for (const auto& line : log.lines(now)) {
      ++lines;
      count += line.count;
    }
  }
  EXPECT_LE(lines, 10U);
  now += seconds(1);
  for (const auto& line : log.lines(now)) count += line.count;
  EXPECT_EQ(count, 10'000U) << "none is left out";
  EXPECT_TRUE(log.lines(now + seconds(9)).empty());
}

}  // namespace
}  // namespace cw::homing
