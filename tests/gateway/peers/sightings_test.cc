#include "gateway/peers/sightings.h"

#include <gtest/gtest.h>

#include "gateway/peers/sighting_words.h"
#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const TimePoint kToldAt{std::chrono::hours(1)};
const SightingId kWestId = sighting_id(public_key(21));
const Endpoint kHere = at("203.0.113.1:40000");
const Endpoint kThere = at("203.0.113.1:40001");

TEST(Sightings, AreKeptByReporterWhileTheyAreRepeated) {
  Sightings sightings;
  EXPECT_TRUE(sightings.hear({"hub", 0}, kWestId, kHere, kToldAt));
  EXPECT_FALSE(sightings.hear({"hub", 0}, kWestId, kHere, kToldAt + seconds(30)));
  EXPECT_FALSE(sightings.forget_old(kToldAt + seconds(90)));
  EXPECT_EQ(sightings.of(kWestId), std::vector<Endpoint>{kHere});
  EXPECT_TRUE(sightings.forget_old(kToldAt + seconds(91)));
  EXPECT_TRUE(sightings.of(kWestId).empty());
}

// A change begins another attempt, so a reporter must not cause one per probe.
TEST(Sightings, OfOneReporterChangeSeldom) {
  Sightings sightings;
  sightings.hear({"hub", 0}, kWestId, kHere, kToldAt);
  EXPECT_FALSE(sightings.hear({"hub", 0}, kWestId, kThere, kToldAt + seconds(9)));
  EXPECT_EQ(sightings.of(kWestId), std::vector<Endpoint>{kHere});
  EXPECT_TRUE(sightings.hear({"hub", 0}, kWestId, kThere, kToldAt + seconds(10)));
  EXPECT_EQ(sightings.of(kWestId), std::vector<Endpoint>{kThere});
}

TEST(Sightings, OneReporterTellsOfSoManyGateways) {
  Sightings sightings;
  for (SightingId id = 1; id <= Sightings::kMaxOfReporter; ++id) {
    EXPECT_TRUE(sightings.hear({"hub", 0}, id, kHere, kToldAt));
  }
  EXPECT_FALSE(sightings.hear({"hub", 0}, kWestId, kHere, kToldAt));
  EXPECT_TRUE(sightings.hear({"hub", 1}, kWestId, kHere, kToldAt)) << "another one may still tell";
}

TEST(Sightings, AClusterWithManyGatewaysCrowdsNoOtherOut) {
  Sightings sightings;
  for (std::uint32_t n = 0; n < 20; ++n) {
    sightings.hear({"a", n}, kWestId, at(fmt::format("192.0.2.{}:1", n + 1)), kToldAt);
  }
  sightings.hear({"hub", 0}, kWestId, kHere, kToldAt);
  const auto used = sightings.of(kWestId);
  EXPECT_EQ(used.size(), Sightings::kMaxOfCluster + 1);
  EXPECT_EQ(used.back(), kHere);
  for (const auto* name : {"b", "c", "d", "e"}) {
    for (std::uint32_t n = 0; n < 2; ++n) {
      sightings.hear({name, n}, kWestId, at(fmt::format("198.51.100.{}:{}", n + 1, name[0])),
                     kToldAt);
    }
  }
  EXPECT_EQ(sightings.of(kWestId).size(), Sightings::kMaxUsed);
}

TEST(SightingWords, AreReadAsTheyWereWritten) {
  const SightingWords words{{1, kWestId}, {{kWestId, kHere}, {7, at("[2001:db8::1]:65535")}}};
  EXPECT_EQ(sighting_words(extensions_of(words)), words);
  EXPECT_TRUE(extensions_of({}).empty());
}

TEST(SightingWords, BeyondTheLimitAreLeftOut) {
  SightingWords words;
  for (SightingId id = 0; id < 30; ++id) {
    words.sought.push_back(id);
    words.seen.emplace_back(id, kHere);
  }
  const auto read = sighting_words(extensions_of(words));
  EXPECT_EQ(read.sought.size(), kMaxSought);
  EXPECT_EQ(read.seen.size(), kMaxSeen);
}

TEST(SightingWords, UnknownExtensionsAreSkippedAndMalformedOnesEndTheReading) {
  const SightingWords words{{5}, {{6, kHere}}};
  auto bytes = extensions_of(words);
  std::vector<std::byte> other{std::byte{9}, std::byte{9}, std::byte{0}, std::byte{1},
                               std::byte{0}};
  other.insert(other.end(), bytes.begin(), bytes.end());
  EXPECT_EQ(sighting_words(other), words);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto cut = sighting_words(std::span(bytes).first(size));
    EXPECT_TRUE(cut.seen.empty()) << size;
  }
  bytes[2] = std::byte{0xff};  // a length far beyond the end
  EXPECT_EQ(sighting_words(bytes), SightingWords{});
}

TEST(SightingWords, APortOfZeroIsNoSighting) {
  EXPECT_TRUE(sighting_words(extensions_of({{}, {{1, {ip("192.0.2.1"), 0}}}})).seen.empty());
}

}  // namespace
}  // namespace cw::gateway
