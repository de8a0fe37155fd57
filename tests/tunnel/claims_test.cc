#include "tunnel/claims/claims.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cw::tunnel {
namespace {

ClaimKey key(int n) { return {"west", *Prefix::parse("10.1." + std::to_string(n) + ".0/24")}; }
Claims many(int count) {
  Claims claims;
  for (int n = 0; n < count; ++n) claims[key(n)] = {0, 1};
  return claims;
}

TEST(Claims, OnlyANewerEpochReplaces) {
  Claims held;
  EXPECT_TRUE(take_claim(held, key(1), {0, 5}));
  EXPECT_FALSE(take_claim(held, key(1), {1, 5}));
  EXPECT_FALSE(take_claim(held, key(1), {1, 4}));
  EXPECT_EQ(held[key(1)].ordinal, 0U);
  EXPECT_TRUE(take_claim(held, key(1), {1, 6}));
  EXPECT_EQ(held[key(1)].ordinal, 1U);
}

TEST(ClaimSender, SaysNewsFirstAndEverythingInTurns) {
  ClaimSender sender;
  auto claims = many(10);
  std::set<ClaimKey> said;
  for (int probe = 0; probe < 4; ++probe) {
    for (const auto& one : sender.pick("a", claims, 3)) {
      said.insert(one);
      sender.heard("a", one, claims[one]);
    }
  }
  EXPECT_EQ(said.size(), 10U);
  claims[key(7)] = {1, 2};
  for (int probe = 0; probe < 5; ++probe) {  // until it is heard
    const auto picked = sender.pick("a", claims, 3);
    ASSERT_EQ(picked.size(), 3U);
    EXPECT_EQ(picked[0], key(7));
  }
  sender.heard("a", key(7), claims[key(7)]);
  said.clear();
  for (int probe = 0; probe < 4; ++probe) {
    const auto picked = sender.pick("a", claims, 3);
    said.insert(picked.begin(), picked.end());
  }
  EXPECT_EQ(said.size(), 10U) << "the known ones go round";
}

TEST(ClaimSender, NoClaimIsSaidTwiceInOneProbe) {
  ClaimSender sender;
  const auto claims = many(5);
  for (int probe = 0; probe < 10; ++probe) {
    auto picked = sender.pick("a", claims, 8);
    EXPECT_EQ(picked.size(), 5U);
    std::sort(picked.begin(), picked.end());
    EXPECT_EQ(std::unique(picked.begin(), picked.end()), picked.end());
    if (probe % 2 == 0) sender.heard("a", picked[static_cast<std::size_t>(probe / 2)], {0, 1});
  }
}

TEST(ClaimSender, TargetsAreToldApartAndForgotten) {
  ClaimSender sender;
  const auto claims = many(1);
  sender.heard("a", key(0), claims.at(key(0)));
  EXPECT_TRUE(sender.holds("a", key(0), {0, 1}));
  EXPECT_FALSE(sender.holds("b", key(0), {0, 1}));
  EXPECT_FALSE(sender.holds("a", key(0), {0, 2}));
  sender.keep_only({"b"});
  EXPECT_FALSE(sender.holds("a", key(0), {0, 1}));
}

TEST(ClaimSender, ForgetsWhatIsNoLongerClaimed) {
  ClaimSender sender;
  auto claims = many(2);
  sender.heard("a", key(0), {0, 1});
  claims.erase(key(0));
  (void)sender.pick("a", claims, 5);
  EXPECT_FALSE(sender.holds("a", key(0), {0, 1}));
}

}  // namespace
}  // namespace cw::tunnel
