#include "tunnel/engine/index_tag.h"

#include <gtest/gtest.h>

#include <set>

#include "base/fake/sim_loop.h"

namespace cw::tunnel::engine {
namespace {

TEST(IndexTag, IndicesOfAllNumbersAreOursAndDiffer) {
  SeededRandom random(1);
  const IndexTag tag(random);
  std::set<std::uint32_t> seen;
  for (std::uint32_t n = 0; n <= IndexTag::kNumber; ++n) {
    const auto index = tag.index_of(n);
    ASSERT_TRUE(tag.is_ours(index)) << n;
    if (n % 64 == 0) {
      ASSERT_TRUE(seen.insert(index).second) << n;
    }
  }
  // Only the lower 20 bits count, so a random number need not be cut.
  EXPECT_EQ(tag.index_of(0xfff00001), tag.index_of(1));
}

TEST(IndexTag, OneGuessIn4096Passes) {
  for (const std::uint64_t key : {1U, 2U, 3U}) {
    SeededRandom random(key);
    const IndexTag tag(random);
    SeededRandom guesses(key + 100);
    std::size_t passed = 0;
    constexpr std::size_t kGuesses = 4096 * 256;
    for (std::size_t i = 0; i < kGuesses; ++i) {
      if (tag.is_ours(static_cast<std::uint32_t>(guesses.next()))) ++passed;
    }
    EXPECT_GT(passed, 180U);
    EXPECT_LT(passed, 340U);
  }
}

TEST(IndexTag, AnotherDevicesIndicesAreNotOurs) {
  SeededRandom random(1);
  const IndexTag ours(random);
  const IndexTag theirs(random);
  std::size_t passed = 0;
  for (std::uint32_t n = 0; n < 40'960; ++n) passed += ours.is_ours(theirs.index_of(n)) ? 1 : 0;
  EXPECT_LT(passed, 200U);
}

}  // namespace
}  // namespace cw::tunnel::engine
