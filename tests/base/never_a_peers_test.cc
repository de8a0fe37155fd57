// Prefixes that no remote cluster may claim: the fixed list, too wide ones, and this cluster's own.
#include "base/never_a_peers.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"

namespace cw {
namespace {

Prefix p(std::string_view text) { return *Prefix::parse(text); }

std::string why(std::string_view prefix, std::span<const OwnPrefixes> own = {}) {
  return never_a_peers(p(prefix), own).value_or("");
}

TEST(NeverAPeers, AddressesWithAMeaningOfTheirOwnAreRefused) {
  for (const auto* prefix : {"0.0.0.0/8",
                             "0.1.0.0/16",
                             "127.0.0.0/8",
                             "127.0.0.1/32",
                             "169.254.169.254/32",
                             "169.254.0.0/16",
                             "169.0.0.0/8",
                             "224.0.0.0/4",
                             "239.1.0.0/16",
                             "240.0.0.0/4",
                             "240.1.2.0/24",
                             "255.255.255.255/32",
                             "::/128",
                             "::1/128",
                             "::ffff:10.0.0.0/112",
                             "64:ff9b::/96",
                             "fe80::/64",
                             "fe80::/10",
                             "fe00::/8",
                             "ff00::/8",
                             "ff02::/16"}) {
    EXPECT_NE(why(prefix), "") << prefix;
  }
  EXPECT_EQ(why("169.254.169.254/32"),
            "overlaps 169.254.0.0/16 (link-local addresses and cloud metadata)");
}

TEST(NeverAPeers, PrefixesTooWideForOneClusterAreRefused) {
  EXPECT_EQ(why("0.0.0.0/0"), "is wider than /8");
  EXPECT_EQ(why("192.0.0.0/2"), "is wider than /8");
  EXPECT_EQ(why("10.0.0.0/7"), "is wider than /8");
  EXPECT_EQ(why("::/0"), "is wider than /16");
  EXPECT_EQ(why("fd00::/15"), "is wider than /16");
  EXPECT_EQ(why("fd00::/8"), "is wider than /16");
}

TEST(NeverAPeers, OrdinaryPodPrefixesMayBeClaimed) {
  for (const auto* prefix : {"10.0.0.0/8", "10.42.0.0/16", "10.42.3.0/24", "100.64.0.0/10",
                             "172.16.0.0/12", "192.168.1.0/24", "203.0.113.7/32", "fd00:10::/32",
                             "fd00::/16", "2001:db8::/48", "fd00:1::7/128"}) {
    EXPECT_EQ(why(prefix), "") << prefix;
  }
}

TEST(NeverAPeers, TheNameOfOurOwnRangeIsInTheText) {
  const std::vector<OwnPrefixes> own = {
      {"a node of this cluster", PrefixSet(std::vector{p("192.0.2.10/32"), p("fd00:20::10/128")})},
      {"a Service of this cluster", PrefixSet(std::vector{p("10.96.0.0/12")})}};
  EXPECT_EQ(why("192.0.2.0/24", own), "overlaps 192.0.2.10/32 (a node of this cluster)");
  EXPECT_EQ(why("fd00:20::/64", own), "overlaps fd00:20::10/128 (a node of this cluster)");
  EXPECT_EQ(why("10.97.1.0/24", own), "overlaps 10.96.0.0/12 (a Service of this cluster)");
  EXPECT_EQ(why("10.0.0.0/8", own), "overlaps 10.96.0.0/12 (a Service of this cluster)");
  EXPECT_EQ(why("10.42.0.0/16", own), "");
}

// Each part of a refused range is refused, and each prefix that contains one.
TEST(NeverAPeers, PartsAndContainersOfReservedRangesAreRefused) {
  SeededRandom random(3);
  for (int round = 0; round < 2000; ++round) {
    const auto draw = random.next();
    const IpAddress inside =
        draw % 2 == 0 ? IpAddress::v4({127, static_cast<std::uint8_t>(draw >> 8U),
                                       static_cast<std::uint8_t>(draw >> 16U), 1})
                      : IpAddress::v6({0xfe, 0x80, static_cast<std::uint8_t>(draw >> 8U)});
    const auto length = static_cast<unsigned>((draw >> 24U) % (inside.bits() + 1));
    EXPECT_TRUE(never_a_peers(*Prefix::of(inside, length))) << inside.to_string() << "/" << length;
  }
}

TEST(NeverAnEndpoint, OnlyUnicastAddressesOfOthersAre) {
  const std::vector<OwnPrefixes> own = {
      {"a node of this cluster", PrefixSet(std::vector{p("192.0.2.10/32")})}};
  const auto refused = [&](std::string_view text) {
    return never_an_endpoint(*IpAddress::parse(text), own).value_or("");
  };
  for (const auto* text : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1",
                           "240.0.0.1", "::", "::1", "ff02::1", "fe80::1", "192.0.2.10"}) {
    EXPECT_NE(refused(text), "") << text;
  }
  EXPECT_EQ(refused("192.0.2.10"), "is in 192.0.2.10/32 (a node of this cluster)");
  for (const auto* text : {"192.0.2.11", "10.0.0.1", "2001:db8::1", "fd00::1"}) {
    EXPECT_EQ(refused(text), "") << text;
  }
}

}  // namespace
}  // namespace cw
