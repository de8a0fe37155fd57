// Files that outlive a process: state_file.h and reach.h.
#include "base/state_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/reach.h"

namespace cw {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  Folder() {
    std::string made = testing::TempDir() + "state-XXXXXX";
    path = ::mkdtemp(made.data());
  }
  ~Folder() override { fs::remove_all(path); }
  std::string path;
};

TEST_F(Folder, AStateFileIsWrittenWholeReadWholeAndRemoved) {
  const auto file = path + "/made/file";
  EXPECT_EQ(read_state_file(file, 10).error().code, Errc::kNotFound);
  ASSERT_TRUE(write_state_file(file, "0123456789"));
  EXPECT_EQ(*read_state_file(file, 10), "0123456789");
  EXPECT_EQ(read_state_file(file, 9).error().code, Errc::kTooLarge);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_TRUE(write_state_file(file, ""));
  EXPECT_EQ(*read_state_file(file, 10), "");
  EXPECT_EQ(std::distance(fs::directory_iterator(path + "/made"), fs::directory_iterator()), 1);
  ASSERT_TRUE(remove_state_file(file));
  ASSERT_TRUE(remove_state_file(file));
  EXPECT_EQ(read_state_file(path + "/made", 10).error().code, Errc::kInvalid);  // a folder
}

const Reach kReach{TimePoint(std::chrono::seconds(5)), {{"north", false}, {"west", true}}};

TEST(ReachText, IsReadAsItIsWrittenOrNotAtAll) {
  const auto text = reach_text(kReach);
  EXPECT_EQ(text, "causeway-reach 1 5000000000\n0 north\n1 west\nend 2\n");
  EXPECT_EQ(*parse_reach(text), kReach);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_reach(text.substr(0, size))) << size;
  }
  for (const auto* bad :
       {"causeway-reach 2 5\nend 0\n", "causeway-reach 1 -5\nend 0\n",
        "causeway-reach 1 x\nend 0\n", "causeway-reach 1 5\n2 west\nend 1\n",
        "causeway-reach 1 5\n1 West\nend 1\n", "causeway-reach 1 5\n1 a\n0 a\nend 1\n",
        "causeway-reach 1 5\nend 0\nx"}) {
    EXPECT_FALSE(parse_reach(bad)) << bad;
  }
}

TEST_F(Folder, AReachFileCountsOnlyIfNoOtherUserCanHaveWrittenIt) {
  const auto file = path + "/run/reach";
  EXPECT_EQ(read_reach(file).error().code, Errc::kNotFound);
  ASSERT_TRUE(write_reach(file, kReach));
  EXPECT_EQ(*read_reach(file), kReach);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U) << "others may read it";
  ASSERT_EQ(::chmod(file.c_str(), 0664), 0);
  EXPECT_EQ(read_reach(file).error().code, Errc::kDenied);
  ASSERT_TRUE(write_reach(file, kReach));
  EXPECT_TRUE(read_reach(file));
  ASSERT_EQ(::chmod((path + "/run").c_str(), 01777), 0);
  EXPECT_EQ(read_reach(file).error().code, Errc::kDenied);
  ASSERT_EQ(::chmod((path + "/run").c_str(), 0755), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(file.c_str(), 65532, 65532), 0);
    EXPECT_EQ(read_reach(file).error().code, Errc::kDenied);
  }
}

}  // namespace
}  // namespace cw
