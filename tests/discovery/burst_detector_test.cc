#include "discovery/burst_detector.h"

#include <gtest/gtest.h>

namespace cw::discovery {
namespace {

using std::chrono::milliseconds;

TimePoint at(int ms) { return TimePoint(milliseconds(1'000'000 + ms)); }

TEST(BurstDetector, BeginsAtTheLimitAndEndsWithin2Windows) {
  BurstDetector pour(10, milliseconds(500));
  EXPECT_FALSE(pour.active(at(0)));
  pour.add(9, at(0));
  EXPECT_FALSE(pour.active(at(100)));
  pour.add(1, at(200));
  EXPECT_TRUE(pour.active(at(200)));
  EXPECT_TRUE(pour.active(at(600)));
  EXPECT_FALSE(pour.active(at(1100)));
}

TEST(BurstDetector, GoesOnWhileEachWindowHasEnough) {
  BurstDetector pour(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 40) {
    pour.add(1, at(ms));
    EXPECT_TRUE(ms <= 500 || pour.active(at(ms))) << ms;
  }
}

TEST(BurstDetector, DripsAreNoPour) {
  BurstDetector pour(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 100) {
    pour.add(1, at(ms));
    EXPECT_FALSE(pour.active(at(ms))) << ms;
  }
}

TEST(BurstDetector, WhatWasLongAgoDoesNotCount) {
  BurstDetector pour(10, milliseconds(500));
  pour.add(100, at(0));
  EXPECT_FALSE(pour.active(at(5000)));
}

}  // namespace
}  // namespace cw::discovery
