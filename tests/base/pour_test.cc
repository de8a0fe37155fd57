#include "base/pour.h"

#include <gtest/gtest.h>

namespace cw {
namespace {

using std::chrono::milliseconds;

TimePoint at(int ms) { return TimePoint(milliseconds(1'000'000 + ms)); }

TEST(Pour, BeginsAtTheLimitAndEndsWithin2Windows) {
  Pour pour(10, milliseconds(500));
  EXPECT_FALSE(pour.pours(at(0)));
  pour.add(9, at(0));
  EXPECT_FALSE(pour.pours(at(100)));
  pour.add(1, at(200));
  EXPECT_TRUE(pour.pours(at(200)));
  EXPECT_TRUE(pour.pours(at(600)));
  EXPECT_FALSE(pour.pours(at(1100)));
}

TEST(Pour, GoesOnWhileEachWindowHasEnough) {
  Pour pour(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 40) {
    pour.add(1, at(ms));
    EXPECT_TRUE(ms <= 500 || pour.pours(at(ms))) << ms;
  }
}

TEST(Pour, DripsAreNoPour) {
  Pour pour(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 100) {
    pour.add(1, at(ms));
    EXPECT_FALSE(pour.pours(at(ms))) << ms;
  }
}

TEST(Pour, WhatWasLongAgoDoesNotCount) {
  Pour pour(10, milliseconds(500));
  pour.add(100, at(0));
  EXPECT_FALSE(pour.pours(at(5000)));
}

}  // namespace
}  // namespace cw
