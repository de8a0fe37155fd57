#include <gtest/gtest.h>

#include <random>

#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "tunnel/probe/batch.h"
#include "tunnel/probe/prober.h"

namespace cw::tunnel {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Probe sample() {
  Probe probe;
  probe.reply = true;
  probe.session = 0x0102030405060708;
  probe.sequence = 9;
  probe.sent_ns = 10;
  probe.sender = 3;
  probe.draining = true;
  probe.clusters = {{"east", true}, {"north", true, true}, {"west-2", false}};
  probe.claims = {{{"west", *Prefix::parse("10.1.2.0/24")}, {1, 1ULL << 40U}, true},
                  {{"", *Prefix::parse("fd00:1::/64")}, {0, 3}, false}};
  return probe;
}

TEST(ProbePacket, RoundTripsWithAndWithoutAKey) {
  ProbeKey key{};
  key.fill(5);
  for (const auto& k : {std::optional<ProbeKey>{}, std::optional<ProbeKey>{key}}) {
    const auto back = parse_probe(serialize(sample(), k), k);
    ASSERT_TRUE(back) << back.error().text;
    EXPECT_EQ(*back, sample());
  }
}

TEST(ProbePacket, EveryFlippedBitIsDeniedUnderAKey) {
  ProbeKey key{};
  const auto good = serialize(sample(), key);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(parse_probe(bad, key)) << bit;
  }
  key[0] = 1;
  EXPECT_EQ(parse_probe(good, key).error().code, Errc::kDenied);
}

TEST(ProbePacket, CutOffOrExtendedIsRefused) {
  const auto good = serialize(sample(), {});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_probe(std::span(good).first(size), {})) << size;
  }
  auto longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse_probe(longer, {}));
}

TEST(ProbePacket, AllClaimsFitWithTheLongestNames) {
  Probe probe;
  for (std::size_t i = 0; i < kMaxClaims + 5; ++i) {
    probe.claims.push_back({{std::string(48, 'c'), *Prefix::parse("fd00::/64")}, {0, i}, false});
  }
  const auto back = parse_probe(serialize(probe, {}), {});
  ASSERT_TRUE(back);
  EXPECT_GE(back->claims.size(), 16U);
  probe.claims.resize(3);
  auto bytes = serialize(probe, {});
  bytes[52 + 1] = std::byte{129};  // a prefix longer than its address
  EXPECT_FALSE(parse_probe(bytes, {}));
  bytes[52 + 1] = std::byte{8};  // host bits
  probe.claims = {{{"", *Prefix::parse("10.1.2.3/32")}, {}, false}};
  bytes = serialize(probe, {});
  bytes[52 + 1] = std::byte{24};
  EXPECT_FALSE(parse_probe(bytes, {}));
}

TEST(ProbePacket, NeverExceedsItsSize) {
  Probe probe;
  for (int i = 0; i < 200; ++i) probe.clusters.push_back({std::string(63, 'a'), true});
  const auto bytes = serialize(probe, {});
  EXPECT_LE(bytes.size(), kMaxProbe);
  EXPECT_TRUE(parse_probe(bytes, {}));
}

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
  unsigned degraded = 0;  // how often it became so
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
  EXPECT_EQ(pauses(1, milliseconds(2), 500), 0) << "500 a second";
  EXPECT_GT(pauses(10, milliseconds(2), 500), 350) << "5,000 a second";
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

const DetectorConfig kTunnel{.hurry = 8};  // as a gateway probes the remote ones

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

TEST(Detector, ALinkThatLosesMuchAndIsDownAnswersWithoutInterruption) {
  unsigned interruptions = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Link link(0, seed, kTunnel);
    for (int fall = 0; fall < 4; ++fall) {
      link.loss = 0;
      link.run(seconds(4));
      link.loss = 1;
      link.run(seconds(1));
    }
    ASSERT_FALSE(link.detector.answering(link.now));
    link.loss = 1 - 0.7 * 0.7;
    while (!link.detector.answering(link.now)) link.run(milliseconds(10));
    for (int i = 0; i < 500; ++i) {
      const bool before = link.detector.answering(link.now);
      link.run(milliseconds(10));
      if (before && !link.detector.answering(link.now)) ++interruptions;
    }
  }
  EXPECT_LE(interruptions, 2U);  // prefixes move with each of them
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

TEST(Detector, ComesBackAfterSomeRepliesInARowAndLaterWhenItFlaps) {
  Link link(0);
  link.run(seconds(2));
  const auto recovery = [&] {
    link.loss = 1;
    link.run(seconds(2));
    link.loss = 0;
    const auto start = link.now;
    while (!link.detector.usable(link.now) && link.now - start < seconds(20))
      link.run(milliseconds(10));
    return link.now - start;
  };
  const auto first = recovery();
  EXPECT_GE(first, milliseconds(200));
  EXPECT_LE(first, seconds(1));
  const auto second = recovery();
  const auto third = recovery();
  EXPECT_GT(second, first);
  EXPECT_GT(third, second);
  link.run(minutes(10));  // calm again
  EXPECT_LE(recovery(), first + milliseconds(150));
}

TEST(Detector, AnswersAgainLongBeforeManyFallsAreForgiven) {
  Link link(0);
  for (int fall = 0; fall < 5; ++fall) {
    link.run(seconds(6));
    link.loss = 1;
    link.run(seconds(1));
    EXPECT_FALSE(link.detector.answering(link.now));
    link.loss = 0;
  }
  link.run(milliseconds(500));
  EXPECT_FALSE(link.detector.usable(link.now)) << "damped";
  EXPECT_TRUE(link.detector.answering(link.now));
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

struct Ends {
  EventLoop loop;
  SystemRandom random;
  std::unique_ptr<Prober> node;
  std::unique_ptr<Prober> gateway;
  bool draining = false;
  int changes = 0;
  int replies = 0;
  std::vector<ProbeClaim> claims;
  std::vector<ProbeClaim> echoed;

  void open(std::optional<ProbeKey> node_key, std::optional<ProbeKey> gateway_key) {
    const auto at = [](std::uint16_t port) { return Endpoint{*IpAddress::parse("::1"), port}; };
    for (std::uint16_t port = 42200; port < 42300; port = static_cast<std::uint16_t>(port + 2)) {
      auto g = Prober::open(loop, random, {{}, at(port), "lo", gateway_key, 7},
                            {[this](const Probe& request, const IpAddress& from, Probe& reply) {
                               EXPECT_EQ(from, *IpAddress::parse("::1"));
                               reply.draining = draining;
                               reply.clusters = {{"west", true}};
                               reply.claims = request.claims;
                             },
                             {},
                             {},
                             {}});
      auto n =
          Prober::open(loop, random,
                       {{milliseconds(20), 3, 3, 0.2},
                        at(static_cast<std::uint16_t>(port + 1)),
                        "lo",
                        node_key,
                        0xffffffff},
                       {{},
                        [this](const std::string&) { ++changes; },
                        [this](const std::string&, Probe& request) { request.claims = claims; },
                        [this](const std::string&, const Probe& reply) {
                          ++replies;
                          echoed = reply.claims;
                        }});
      if (!g || !n) continue;
      gateway = std::move(*g);
      node = std::move(*n);
      node->set_targets({{"gateway-0", at(port)}});
      return;
    }
    FAIL() << "no free port";
  }
  bool wait(const std::function<bool()>& done, Duration limit = seconds(5)) {
    const auto poll = loop.every(milliseconds(2), [&] {
      if (done()) loop.stop();
    });
    const auto stop = loop.after(limit, [&] { loop.stop(); });
    loop.run();
    return done();
  }
};

TEST(Prober, SeesTheOtherSideComeDrainAndGo) {
  Ends ends;
  ProbeKey key{};
  key.fill(9);
  ends.open(key, key);
  const auto view = [&] { return ends.node->views().at("gateway-0"); };
  ASSERT_TRUE(ends.wait([&] { return view().usable; }));
  EXPECT_EQ(view().clusters, (std::vector<ProbeCluster>{{"west", true}}));
  EXPECT_FALSE(view().draining);
  ends.draining = true;
  ASSERT_TRUE(ends.wait([&] { return view().draining; }));
  const auto changes = ends.changes;
  ends.gateway.reset();
  ASSERT_TRUE(ends.wait([&] { return !view().usable; }));
  EXPECT_GT(ends.changes, changes);
}

TEST(Prober, CarriesClaimsAndAsksAtOnceWhenTold) {
  Ends ends;
  ends.open({}, {});
  ASSERT_TRUE(ends.wait([&] { return ends.replies > 0; }));
  ends.claims = {{{"west", *Prefix::parse("10.1.0.0/24")}, {1, 7}, false}};
  const auto before = ends.replies;
  for (int i = 0; i < 5; ++i) ends.node->ask_now("gateway-0");
  ends.node->ask_now("nobody");
  ASSERT_TRUE(ends.wait([&] { return ends.replies >= before + 5; }, milliseconds(60)));
  EXPECT_EQ(ends.echoed, ends.claims);
}

TEST(Prober, AnswersThousandsASecondAllOfThem) {
  Ends ends;
  ProbeKey key{};
  key.fill(9);
  ends.open(key, key);
  ASSERT_TRUE(ends.wait([&] { return ends.replies > 0; }));
  for (int round = 0; round < 100; ++round) {
    const auto before = ends.replies;
    for (int i = 0; i < 20; ++i) ends.node->ask_now("gateway-0");
    ASSERT_TRUE(ends.wait([&] { return ends.replies >= before + 20; })) << round;
  }
  ends.node->set_interval(milliseconds(20));
  EXPECT_TRUE(ends.node->views().at("gateway-0").usable);
}

TEST(Prober, AWrongKeyIsNobody) {
  Ends ends;
  ProbeKey right{};
  ProbeKey wrong{};
  wrong.fill(1);
  ends.open(wrong, right);
  EXPECT_FALSE(
      ends.wait([&] { return ends.node->views().at("gateway-0").usable; }, milliseconds(300)));
}

}  // namespace
}  // namespace cw::tunnel
