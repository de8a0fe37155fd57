#include "discovery/burst_detector.h"

#include <gtest/gtest.h>

namespace cw::discovery {
namespace {

using std::chrono::milliseconds;

TimePoint at(int ms) { return TimePoint(milliseconds(1'000'000 + ms)); }

TEST(BurstDetector, BeginsAtTheLimitAndEndsWithin2Windows) {
  BurstDetector burst(10, milliseconds(500));
  EXPECT_FALSE(burst.active(at(0)));
  burst.add(9, at(0));
  EXPECT_FALSE(burst.active(at(100)));
  burst.add(1, at(200));
  EXPECT_TRUE(burst.active(at(200)));
  EXPECT_TRUE(burst.active(at(600)));
  EXPECT_FALSE(burst.active(at(1100)));
}

TEST(BurstDetector, GoesOnWhileEachWindowHasEnough) {
  BurstDetector burst(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 40) {
    burst.add(1, at(ms));
    EXPECT_TRUE(ms <= 500 || burst.active(at(ms))) << ms;
  }
}

TEST(BurstDetector, DripsAreNoBurst) {
  BurstDetector burst(10, milliseconds(500));
  for (int ms = 0; ms < 5000; ms += 100) {
    burst.add(1, at(ms));
    EXPECT_FALSE(burst.active(at(ms))) << ms;
  }
}

TEST(BurstDetector, WhatWasLongAgoDoesNotCount) {
  BurstDetector burst(10, milliseconds(500));
  burst.add(100, at(0));
  EXPECT_FALSE(burst.active(at(5000)));
}

}  // namespace
}  // namespace cw::discovery
