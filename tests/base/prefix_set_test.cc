#include "base/prefix_set.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"

namespace cw {
namespace {

Prefix p(std::string_view text) { return *Prefix::parse(text); }

std::vector<Prefix> list(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> prefixes;
  for (const auto text : texts) prefixes.push_back(p(text));
  return prefixes;
}

TEST(PrefixSet, KeepsOutermostMembersOfBothFamilies) {
  const PrefixSet set(list(
      {"10.8.1.0/24", "fd00:1::/64", "10.8.0.0/16", "10.8.0.0/16", "fd00::/16", "10.9.0.0/16"}));
  EXPECT_EQ(set.outermost(), list({"10.8.0.0/16", "10.9.0.0/16", "fd00::/16"}));
}

TEST(PrefixSet, NamesTheContainer) {
  const PrefixSet set(list({"10.8.0.0/16", "fd00:1::/32"}));
  EXPECT_EQ(set.covering(p("10.8.255.255/32")), p("10.8.0.0/16"));
  EXPECT_EQ(set.covering(p("10.8.0.0/16")), p("10.8.0.0/16"));
  EXPECT_EQ(set.covering(p("10.8.0.0/15")), std::nullopt);
  EXPECT_EQ(set.covering(*IpAddress::parse("10.9.0.0")), std::nullopt);
  EXPECT_EQ(set.covering(*IpAddress::parse("fd00:1::9")), p("fd00:1::/32"));
  EXPECT_FALSE(PrefixSet().contains(*IpAddress::parse("10.8.0.1")));
}

TEST(PrefixSet, OverlapsAreContainersOrContents) {
  const PrefixSet set(list({"10.8.4.0/24", "10.8.6.0/24", "::/0"}));
  EXPECT_EQ(set.overlapping(p("10.8.0.0/16")), p("10.8.4.0/24"));
  EXPECT_EQ(set.overlapping(p("10.8.6.128/25")), p("10.8.6.0/24"));
  EXPECT_EQ(set.overlapping(p("10.8.5.0/24")), std::nullopt);
  EXPECT_EQ(set.overlapping(p("fd00::/8")), p("::/0"));
  EXPECT_EQ(set.overlapping(p("0.0.0.0/0")), p("10.8.4.0/24"));
}

TEST(PrefixSet, AgreesWithPairwiseComparison) {
  SeededRandom random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Prefix> members;
    const auto draw = [&random] {
      const auto bits = random.next();
      return *Prefix::of(IpAddress::v4({10, static_cast<std::uint8_t>(bits & 3U),
                                        static_cast<std::uint8_t>((bits >> 8U) & 7U),
                                        static_cast<std::uint8_t>(bits >> 16U)}),
                         static_cast<unsigned>(12 + (bits >> 32U) % 21));
    };
    for (int i = 0; i < 12; ++i) members.push_back(draw());
    const PrefixSet set(members);
    for (int i = 0; i < 20; ++i) {
      const auto asked = draw();
      bool covered = false;
      bool overlapped = false;
      for (const auto& member : members) {
        covered |= member.contains(asked);
        overlapped |= member.overlaps(asked);
      }
      EXPECT_EQ(set.covering(asked).has_value(), covered) << asked.to_string();
      EXPECT_EQ(set.overlapping(asked).has_value(), overlapped) << asked.to_string();
    }
  }
}

}  // namespace
}  // namespace cw
