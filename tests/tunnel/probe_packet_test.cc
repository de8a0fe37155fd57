// The probe datagram: writing and reading, which requests are accepted, and what a newer minor
// version may add.
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "tunnel/probe/askers.h"
#include "tunnel/probe/freshness.h"
#include "tunnel/probe/packet.h"

namespace cw::tunnel {
namespace {

ProbeKey key_of(std::uint8_t byte) {
  ProbeKey key{};
  key.fill(byte);
  return key;
}

std::vector<std::byte> bytes_of(std::string_view hex) {
  const auto digit = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
  };
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return out;
}

Probe sample() {
  Probe probe;
  probe.reply = true;
  probe.asker = {1, 2, 3};
  probe.session = 0x0102030405060708;
  probe.sequence = 9;
  probe.sent_ns = 10;
  probe.challenge = 0xfedcba9876543210;
  probe.sender = 3;
  probe.draining = true;
  probe.clusters = {{"east", true}, {"north", true, true}, {"west-2", false}};
  probe.extra = {
      2, bytes_of("010477657374db108e270180452961b21d0b55c866df000000010000010000000000020000"
                  "000000000000000000000000000000000000000000000000000003")};
  return probe;
}

TEST(ProbePacket, RoundTrips) {
  const auto probe = sample();
  const auto back = parse_probe(serialize(probe, key_of(5)), key_of(5));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(*back, probe);
}

TEST(ProbePacket, EveryFlippedBitIsRefused) {
  const auto good = serialize(sample(), key_of(0));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(parse_probe(bad, key_of(0))) << bit;
  }
  EXPECT_EQ(parse_probe(good, key_of(1)).error().code, Errc::kDenied);
}

TEST(ProbePacket, TheEnvelopeNamesTheAskerBeforeAnythingIsProven) {
  auto probe = sample();
  auto envelope = parse_envelope(serialize(probe, key_of(5)));
  ASSERT_TRUE(envelope);
  EXPECT_TRUE(envelope->reply);
  EXPECT_EQ(envelope->asker, probe.asker);
  probe.reply = false;
  EXPECT_FALSE(parse_envelope(serialize(probe, key_of(5)))->reply);
}

TEST(ProbePacket, CutOffIsRefused) {
  auto probe = sample();
  probe.extra = {};
  const auto good = serialize(probe, key_of(1));
  for (std::size_t size = 0; size < good.size(); ++size) {
    auto cut = std::vector<std::byte>(good.begin(), good.begin() + static_cast<long>(size));
    EXPECT_FALSE(parse_probe(cut, key_of(1))) << size;
    if (size < kMinProbe) continue;
    seal_probe(cut, key_of(1));  // with a valid tag, too
    EXPECT_FALSE(parse_probe(cut, key_of(1))) << size;
  }
}

TEST(ProbePacket, TheExtraPartHasTheRoomBesideTheClusters) {
  auto probe = sample();
  probe.extra = {1, std::vector<std::byte>(extra_room(probe))};
  EXPECT_EQ(serialize(probe, key_of(1)).size(), kMaxProbe);
  EXPECT_EQ(*parse_probe(serialize(probe, key_of(1)), key_of(1)), probe);
  probe.extra.bytes.push_back({});
  EXPECT_EQ(parse_probe(serialize(probe, key_of(1)), key_of(1))->extra, ProbeExtra{});
}

TEST(ProbePacket, NeverExceedsItsSize) {
  Probe probe;
  for (int i = 0; i < 200; ++i) probe.clusters.push_back({std::string(63, 'a'), true});
  const auto bytes = serialize(probe, key_of(1));
  EXPECT_LE(bytes.size(), kMaxProbe);
  EXPECT_TRUE(parse_probe(bytes, key_of(1)));
}

TEST(PartyId, EachKeyAndNameIsAPartyOfItsOwn) {
  const Key a(key_of(1));
  const Key b(key_of(2));
  EXPECT_EQ(party_id(a, NodeName{"n1"}), party_id(a, NodeName{"n1"}));
  EXPECT_NE(party_id(a, NodeName{"n1"}), party_id(a, NodeName{"n2"}));
  EXPECT_NE(party_id(a, NodeName{"n1"}), party_id(b, NodeName{"n1"}));
}

// Committed bytes of the wire format. Datagrams of an earlier or later release of this major
// version must always be readable.
constexpr std::string_view kMinor0 =
    "4357503400020100010203000000000000000000000000000102030405060708000000000000000900000000"
    "0000000afedcba9876543210000000030302000001046561737403056e6f7274680006776573742d32010477"
    "657374db108e270180452961b21d0b55c866df00000001000001000000000002000000000000000000000000"
    "0000000000000000000000000000000003ad697a8fca606f33a251e557ac524f4a";
constexpr std::string_view kMinor1 =
    "435750340102855a010203000000000000000000000000000102030405060708000000000000000900000000"
    "0000000afedcba9876543210000000030302112211046561737413056e6f7274681006776573742d32210477"
    "657374db108e270180452961b21d0b55c866df00000001000001000000000082000000000000000000000000"
    "00000000000000000000000000000000030007000568656c6c6f9c40000060f8a1571b0004025e7b86914377"
    "40ab";

TEST(ProbeVersions, MinorVersionZeroIsWrittenAndReadAsCommitted) {
  EXPECT_EQ(serialize(sample(), key_of(5)), bytes_of(kMinor0));
  const auto probe = parse_probe(bytes_of(kMinor0), key_of(5));
  ASSERT_TRUE(probe) << probe.error().text;
  EXPECT_EQ(*probe, sample());
}

// It has unknown flags of the datagram, of clusters and of claims, other bytes where minor version
// 0 has zeros, and two extensions.
TEST(ProbeVersions, ANewerMinorVersionIsReadWithoutWhatItAdds) {
  const auto bytes = bytes_of(kMinor1);
  ASSERT_EQ(bytes[4], std::byte{1});
  const auto probe = parse_probe(bytes, key_of(5));
  ASSERT_TRUE(probe) << probe.error().text;
  EXPECT_EQ(probe->extra.entries, 2);
  auto as_committed = *probe;
  as_committed.extra = sample().extra;  // tests/homing/probe_claims_test.cc reads it
  EXPECT_EQ(as_committed, sample());
  EXPECT_FALSE(parse_probe(bytes, key_of(6))) << "added bytes are authenticated, too";
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto bad = bytes;
    bad[at] ^= std::byte{0x40};
    EXPECT_FALSE(parse_probe(bad, key_of(5))) << at;
  }
}

TEST(ProbeVersions, AnotherMajorVersionIsNamedAndNotRead) {
  auto other = serialize(sample(), key_of(5));
  EXPECT_FALSE(foreign_version(other));
  other[3] = std::byte{'2'};
  seal_probe(other, key_of(5));
  EXPECT_EQ(foreign_version(other), 2U);
  EXPECT_FALSE(parse_envelope(other));
  EXPECT_FALSE(parse_probe(other, key_of(5)));
  other[3] = std::byte{'x'};
  EXPECT_FALSE(foreign_version(other));
  EXPECT_FALSE(foreign_version({}));
  EXPECT_FALSE(foreign_version(version_notice())) << "it is of our own version";
  EXPECT_FALSE(parse_envelope(version_notice()));
}

class FreshnessStory : public testing::Test {
 protected:
  Freshness::Verdict asks(std::uint64_t session, std::uint64_t sequence,
                          std::uint64_t challenge = 0) {
    Probe request;
    request.session = session;
    request.sequence = sequence;
    request.challenge = challenge;
    return freshness_.take(secret_, request);
  }
  // The two requests with which a session becomes the current one.
  std::uint64_t begin(std::uint64_t session) {
    const auto challenge = asks(session, 0).challenge;
    EXPECT_TRUE(asks(session, 1, challenge).fresh);
    return challenge;
  }
  FreshnessSecret secret_ = key_of(7);
  Freshness freshness_;
};

TEST_F(FreshnessStory, ASessionCountsOnceItRepeatedItsChallenge) {
  const auto first = asks(10, 0);
  EXPECT_FALSE(first.fresh);
  EXPECT_NE(first.challenge, 0U);
  EXPECT_FALSE(asks(10, 1).fresh) << "without it";
  EXPECT_FALSE(asks(10, 2, first.challenge + 1).fresh) << "with another one";
  const auto proven = asks(10, 3, first.challenge);
  EXPECT_TRUE(proven.fresh);
  EXPECT_EQ(proven.challenge, 0U);
  EXPECT_TRUE(asks(10, 4).fresh);
}

TEST_F(FreshnessStory, WithinASessionOnlyTheNewestCounts) {
  begin(10);
  EXPECT_TRUE(asks(10, 9).fresh);
  EXPECT_FALSE(asks(10, 9).fresh) << "a replay";
  EXPECT_FALSE(asks(10, 8).fresh) << "late";
  EXPECT_TRUE(asks(10, 10).fresh);
}

TEST_F(FreshnessStory, AReplayOfAnEarlierSessionNeverCountsAgain) {
  const auto old = begin(10);
  begin(11);
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(asks(10, 1, old).fresh) << "as recorded";
    const auto asked = asks(10, 2);
    EXPECT_FALSE(asked.fresh);
    EXPECT_NE(asked.challenge, old);
  }
  EXPECT_TRUE(asks(11, 2).fresh) << "the session of now goes on";
}

TEST_F(FreshnessStory, ReplaysDoNotKeepARestartedAskerOut) {
  begin(10);
  const auto asked = asks(12, 0);
  for (std::uint64_t n = 0; n < 100; ++n) (void)asks(1000 + n, n);
  EXPECT_TRUE(asks(12, 1, asked.challenge).fresh);
}

TEST_F(FreshnessStory, AChallengeIsOfOneReplierAndOneSession) {
  const auto here = asks(10, 0).challenge;
  EXPECT_FALSE(asks(11, 0, here).fresh);
  secret_ = key_of(8);
  EXPECT_FALSE(asks(10, 1, here).fresh) << "the replier started again";
}

// A recorded request of an asker's first session must not become fresh after the asker left and
// came back.
TEST(AskersStory, AnAskerThatComesBackHasNoChallengeOfBefore) {
  SeededRandom random(7);
  const auto node = Key::generate_private(random).public_key();
  Askers askers(Key::generate_private(random), random);
  const std::map<ProbeParty, Key> both{{NodeName{"n1"}, node}, {NodeName{"n2"}, node}};
  const auto id = party_id(node, NodeName{"n1"});
  const auto ask = [&](std::uint64_t session, std::uint64_t sequence, std::uint64_t challenge) {
    auto* asker = askers.find(id);
    EXPECT_NE(asker, nullptr);
    Probe request;
    request.asker = id;
    request.session = session;
    request.sequence = sequence;
    request.challenge = challenge;
    return askers.judge(*asker, request);
  };
  std::vector<std::uint64_t> recorded;
  for (int round = 0; round < 3; ++round) {
    askers.set(both);
    for (const auto challenge : recorded) {
      EXPECT_FALSE(ask(10, 1, challenge).fresh) << round;
      EXPECT_FALSE(ask(11, 1, challenge).fresh) << round;
    }
    const auto first = ask(10, 0, 0).challenge;
    recorded.push_back(first);
    EXPECT_TRUE(ask(10, 1, first).fresh) << round;
    recorded.push_back(ask(11, 0, 0).challenge);  // under way when the asker leaves
    askers.set({{NodeName{"n2"}, node}});
    EXPECT_EQ(askers.find(id), nullptr);
  }
}

}  // namespace
}  // namespace cw::tunnel
