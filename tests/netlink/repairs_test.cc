// What is told about objects that another program removed.
#include "netlink/repairs.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/fake/sim_loop.h"

namespace cw::netlink {
namespace {

using std::chrono::seconds;

class RepairsStory : public ::testing::Test {
 protected:
  SimLoop loop_;
  Metrics metrics_;
  std::vector<std::string> told_;
  Repairs repairs_{loop_, metrics_.counter("causeway_test_repairs_total", "Objects."),
                   [this](const std::string& sentence) { told_.push_back(sentence); }};
};

TEST_F(RepairsStory, NamesTheObjectsAtOnce) {
  repairs_.add({{"route", 14}, {"rule", 1}});
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_NE(told_[0].find("14 routes, 1 rule"), std::string::npos) << told_[0];
  EXPECT_NE(metrics_.text().find("causeway_test_repairs_total 15"), std::string::npos);
}

TEST_F(RepairsStory, AProgramThatFlushesInALoopIsToldOncePerTenSeconds) {
  for (int i = 0; i < 300; ++i) {
    repairs_.add({{"address", 1}});
    loop_.advance(std::chrono::milliseconds(100));
  }
  EXPECT_LE(told_.size(), 4U);
  EXPECT_NE(told_[1].find("99 addresses"), std::string::npos) << told_[1];
  loop_.advance(seconds(60));
  const auto before = told_.size();
  loop_.advance(seconds(60));
  EXPECT_EQ(told_.size(), before) << "nothing new";
}

TEST_F(RepairsStory, NothingRestoredIsNothingTold) {
  repairs_.add({});
  loop_.advance(seconds(60));
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace cw::netlink
