// When memory is given back to the system.
#include "base/memory.h"

#include <gtest/gtest.h>

#include <vector>

namespace cw {
namespace {

TEST(GrowthWatch, GivesBackAfterGrowthOnly) {
  constexpr std::size_t kMiB = 1 << 20;
  GrowthWatch watch;
  EXPECT_TRUE(watch.grew(30 * kMiB)) << "the memory that the start left";
  watch.settle(20 * kMiB);
  EXPECT_FALSE(watch.grew(20 * kMiB));
  EXPECT_FALSE(watch.grew(20 * kMiB + GrowthWatch::kStep - 1));
  EXPECT_TRUE(watch.grew(20 * kMiB + GrowthWatch::kStep));
  watch.settle(28 * kMiB);  // the memory is in use
  EXPECT_FALSE(watch.grew(29 * kMiB));
  EXPECT_FALSE(watch.grew(5 * kMiB));
}

TEST(ResidentBytes, SeesWhatThisProcessUses) {
  const auto before = resident_bytes();
  ASSERT_GT(before, 0U);
  const std::vector<char> block(64 << 20, 'x');
  EXPECT_GE(resident_bytes(), before + (60U << 20U)) << block.back();
}

}  // namespace
}  // namespace cw
