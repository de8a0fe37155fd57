// Claims in the extra part of a probe: writing and reading, and what a newer minor version may add.
#include "homing/probe_claims.h"

#include <gtest/gtest.h>

#include <string_view>

namespace cw::homing {
namespace {

using tunnel::Probe;

const Prefix kPods = *Prefix::parse("10.1.2.0/24");

std::vector<ProbeClaim> sample() {
  return {{{"west", kPods}, {1, 1ULL << 40U}, true},
          {{"", *Prefix::parse("fd00:1::/64")}, {0, 3}, false}};
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
    "011804776573740a010200000000010000010000000000024000fd00000100000000000000"
    "0000000000000000000000000000000003";
// With unknown flags and two extensions.
constexpr std::string_view kMinor1 =
    "211804776573740a010200000000010000010000000000824000fd00000100000000000000"
    "00000000000000000000000000000000030007000568656c6c6f9c400000";

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

TEST(ProbeClaims, AllFitWithTheLongestNames) {
  Probe probe;
  probe.clusters = {{"west", true}};
  std::vector<ProbeClaim> claims;
  for (std::size_t i = 0; i < kMaxClaims + 5; ++i) {
    claims.push_back({{std::string(48, 'c'), *Prefix::parse("fd00::/64")}, {0, i}, false});
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

TEST(ProbeClaims, APrefixThatIsNoneIsRefused) {
  Probe probe;
  put_claims({{{"", *Prefix::parse("10.1.2.3/32")}, {}, false}}, probe);
  const auto with_length = [&](unsigned length) {
    probe.extra.bytes[1] = static_cast<std::byte>(length);
    return !claims_of(probe).empty();
  };
  EXPECT_TRUE(with_length(32));
  EXPECT_FALSE(with_length(33)) << "longer than its address";
  EXPECT_FALSE(with_length(24)) << "host bits";
}

}  // namespace
}  // namespace cw::homing
