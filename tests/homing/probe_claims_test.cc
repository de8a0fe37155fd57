// Claims in the extra part of a probe: writing and reading, and what a newer minor version may add.
#include "homing/probe_claims.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace cw::homing {
namespace {

using tunnel::Probe;

std::vector<ProbeClaim> sample() {
  return {{{"west", {owner_id("worker-1"), Family::kV4}}, {1, 1ULL << 40U}, true},
          {{"", {owner_id(""), Family::kV6}}, {0, 3}, false}};
}

Probe probe_of(std::uint8_t entries, std::string_view hex) {
  const auto digit = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
  };
  Probe probe;
  probe.extra.entries = entries;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    probe.extra.bytes.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return probe;
}

// Committed bytes of the wire format (tests/tunnel/probe_packet_test.cc).
constexpr std::string_view kMinor0 =
    "010477657374db108e270180452961b21d0b55c866df000000010000010000000000020000000000"
    "000000000000000000000000000000000000000000000003";
// With unknown flags and two extensions.
constexpr std::string_view kMinor1 =
    "410477657374db108e270180452961b21d0b55c866df000000010000010000000000820000000000"
    "0000000000000000000000000000000000000000000000030007000568656c6c6f9c400000";

TEST(ProbeClaims, AreWrittenAndReadAsCommitted) {
  Probe probe;
  put_claims(sample(), probe);
  EXPECT_EQ(probe, probe_of(2, kMinor0));
  EXPECT_EQ(claims_of(probe), sample());
  EXPECT_EQ(claims_of(probe_of(2, kMinor1)), sample()) << "without bytes of newer versions";
}

TEST(ProbeClaims, RoundTrip) {
  auto claims = sample();
  claims[1].old = true;
  Probe probe;
  put_claims(claims, probe);
  EXPECT_EQ(claims_of(probe), claims);
  put_claims({}, probe);
  EXPECT_EQ(probe, Probe{});
}

TEST(ProbeClaims, CutOffTheyAreNone) {
  Probe probe;
  put_claims(sample(), probe);
  while (!probe.extra.bytes.empty()) {
    probe.extra.bytes.pop_back();
    EXPECT_TRUE(claims_of(probe).empty()) << probe.extra.bytes.size();
  }
}

TEST(ProbeClaims, ExtensionsStandBehindThemAndAreLeftOutIfTheyDoNotFit) {
  const std::vector<std::byte> extensions(20, std::byte{7});
  Probe probe;
  append_extensions(extensions, probe);
  EXPECT_TRUE(std::ranges::equal(extensions_behind(probe), extensions)) << "without claims";
  put_claims(sample(), probe);
  EXPECT_TRUE(extensions_behind(probe).empty());
  append_extensions(extensions, probe);
  EXPECT_TRUE(std::ranges::equal(extensions_behind(probe), extensions));
  EXPECT_EQ(claims_of(probe), sample());
  append_extensions(std::vector<std::byte>(tunnel::kMaxProbe), probe);
  EXPECT_TRUE(std::ranges::equal(extensions_behind(probe), extensions));
  probe.extra.entries = 200;
  EXPECT_TRUE(extensions_behind(probe).empty()) << "a malformed claim";
}

TEST(ProbeClaims, AllFitWithTheLongestNames) {
  Probe probe;
  probe.clusters = {{"west", true}};
  std::vector<ProbeClaim> claims;
  for (std::size_t i = 0; i < kMaxClaims + 5; ++i) {
    claims.push_back({{std::string(48, 'c'), {owner_id("n"), Family::kV6}}, {0, i}, false});
  }
  put_claims(claims, probe);
  EXPECT_GE(claims_of(probe).size(), 16U);
  EXPECT_EQ(tunnel::parse_probe(serialize(probe, {}), {})->extra, probe.extra);
  for (auto& claim : claims) claim.key.cluster.clear();
  put_claims(claims, probe);
  EXPECT_EQ(claims_of(probe).size(), kMaxClaims);
  ++probe.extra.entries;
  EXPECT_TRUE(claims_of(probe).empty()) << "more than a probe may carry";
}

TEST(ProbeClaims, OneOfAnOverlongClusterIsRefused) {
  Probe probe;
  put_claims({{{"", {owner_id("n"), Family::kV4}}, {}, false}}, probe);
  probe.extra.bytes.resize(200);
  EXPECT_EQ(claims_of(probe).size(), 1U);
  probe.extra.bytes[1] = std::byte{64};
  EXPECT_TRUE(claims_of(probe).empty());
}

TEST(OwnerId, IsFixedForEverAndZerosForTheClusterAsAWhole) {
  EXPECT_EQ(owner_id(""), OwnerId{});
  EXPECT_EQ(owner_id("worker-1").bytes,
            (std::array<std::uint8_t, 16>{0xdb, 0x10, 0x8e, 0x27, 0x01, 0x80, 0x45, 0x29, 0x61,
                                          0xb2, 0x1d, 0x0b, 0x55, 0xc8, 0x66, 0xdf}));
  EXPECT_NE(owner_id("worker-1"), owner_id("worker-2"));
}

}  // namespace
}  // namespace cw::homing
