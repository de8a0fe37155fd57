#include "routeagent/node/owned.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace cw::routeagent {
namespace {

std::vector<Prefix> list(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> all;
  for (const auto text : texts) all.push_back(*Prefix::parse(text));
  return all;
}

TEST(OwnedAddresses, AreThoseOfThePrefixesWhereNoneLiesInsideAnother) {
  EXPECT_EQ(owned_addresses(list({"10.1.1.0/26", "10.1.0.0/26"}), list({"10.1.2.0/26"})),
            list({"10.1.0.0/26", "10.1.1.0/26"}));
  EXPECT_TRUE(owned_addresses({}, list({"10.1.2.0/26"})).empty());
}

TEST(OwnedAddresses, LackThoseThatAnotherNodeBorrowed) {
  EXPECT_EQ(owned_addresses(list({"10.1.0.0/29"}), list({"10.1.0.2/32", "10.2.0.0/16"})),
            list({"10.1.0.0/31", "10.1.0.3/32", "10.1.0.4/30"}));
  EXPECT_EQ(owned_addresses(list({"fd01::/126"}), list({"fd01::3/128"})),
            list({"fd01::/127", "fd01::2/128"}));
}

TEST(OwnedAddresses, HaveThoseThatTheNodeBorrowed) {
  EXPECT_EQ(owned_addresses(list({"10.1.0.2/32", "10.3.0.0/26"}), list({"10.1.0.0/26"})),
            list({"10.1.0.2/32", "10.3.0.0/26"}));
  EXPECT_EQ(owned_addresses(list({"10.1.0.0/29", "10.1.0.5/32"}), list({"10.1.0.4/30"})),
            list({"10.1.0.0/30", "10.1.0.5/32"}))
      << "an own address inside another's part of the own block";
}

TEST(OwnedAddresses, OfAnyPrefixesAreThoseWhoseLongestPrefixIsTheNodes) {
  std::mt19937 dice(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Prefix> own;
    std::vector<Prefix> others;
    std::map<Prefix, bool> all;
    for (int n = 0; n < 12; ++n) {
      const auto prefix = *Prefix::of(IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(dice())}),
                                      dice() % 9 < 3 ? 32 : 25 + static_cast<unsigned>(dice() % 7));
      const bool ours = dice() % 2 == 0;
      if (all.emplace(prefix, ours).second) (ours ? own : others).push_back(prefix);
    }
    const auto owned = owned_addresses(own, others);
    for (unsigned last = 0; last < 256; ++last) {
      const auto address = IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(last)});
      unsigned longest = 0;
      bool want = false;
      for (const auto& [prefix, ours] : all) {
        if (!prefix.contains(address) || prefix.length() < longest) continue;
        longest = prefix.length();
        want = ours;
      }
      const auto in = std::count_if(owned.begin(), owned.end(),
                                    [&](const Prefix& prefix) { return prefix.contains(address); });
      ASSERT_EQ(in, want ? 1 : 0) << round << ": " << address.to_string();
    }
  }
}

}  // namespace
}  // namespace cw::routeagent
