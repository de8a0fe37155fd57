#include "homing/claims.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cw::homing {
namespace {

ClaimKey key(int n) { return {"west", {owner_id("n" + std::to_string(n)), Family::kV4}}; }
Claims many(int count) {
  Claims claims;
  for (int n = 0; n < count; ++n) claims[key(n)] = {0, 1};
  return claims;
}

constexpr TimePoint kNow{std::chrono::hours(1)};

TEST(Words, TheHighestEpochOfTheLastWordsIsHeld) {
  Words words;
  words.say(1, {0, 5}, kNow);
  words.say(0, {1, 6}, kNow);
  EXPECT_EQ(words.held(kNow), (Claim{1, 6}));
  words.say(1, {2, 7}, kNow);
  EXPECT_EQ(words.held(kNow), (Claim{2, 7}));
  words.say(1, {3, 1}, kNow);
  EXPECT_EQ(words.held(kNow), (Claim{1, 6})) << "its last claim replaces its earlier one";
  words.say(0, {0, 1}, kNow);
  EXPECT_EQ(words.held(kNow), (Claim{0, 1})) << "of equal claims the lowest speaker's";
}

TEST(Words, AClaimThatIsNotRepeatedDoesNotOutweighOneThatIs) {
  Words words;
  words.say(0, {0, 900}, kNow);
  words.say(1, {1, 2}, kNow + Words::kLife / 2);
  EXPECT_EQ(words.held(kNow + Words::kLife / 2), (Claim{0, 900}));
  EXPECT_EQ(words.held(kNow + Words::kLife), (Claim{1, 2}));
  EXPECT_EQ(words.held(kNow + 10 * Words::kLife), (Claim{0, 900}))
      << "if all claims are old, all count";
}

TEST(Words, SpeakersThatAreGoneAreForgotten) {
  Words words;
  words.say(0, {0, 900}, kNow);
  words.say(1, {1, 2}, kNow);
  EXPECT_TRUE(words.keep([](std::uint32_t speaker) { return speaker == 1; }));
  EXPECT_EQ(words.held(kNow), (Claim{1, 2}));
  EXPECT_FALSE(words.keep([](std::uint32_t) { return false; }));
}

TEST(ClaimSender, ATargetThatStartedAgainGetsEverythingAsNews) {
  ClaimSender sender;
  const auto claims = many(3);
  for (const auto& [key, claim] : claims) sender.heard("a", key, claim);
  (void)sender.pick("a", claims, 1);
  sender.forget("a");
  EXPECT_FALSE(sender.holds("a", key(0), {0, 1}));
  EXPECT_EQ(sender.pick("a", claims, 8).size(), 3U);
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
  for (int probe = 0; probe < 5; ++probe) {  // until the claim has arrived
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
  EXPECT_EQ(said.size(), 10U) << "the known claims go round";
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
}  // namespace cw::homing
