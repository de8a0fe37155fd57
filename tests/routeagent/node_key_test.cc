#include "routeagent/node_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/fake/sim_loop.h"

namespace cw::routeagent {
namespace {

namespace fs = std::filesystem;

class NodeKey : public ::testing::Test {
 protected:
  NodeKey() {
    std::string name = (fs::temp_directory_path() / "node-key-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    folder_ = root_ / "a/state";
    file_ = folder_ / kNodeKeyFile;
  }
  ~NodeKey() override { fs::remove_all(root_); }
  Result<tunnel::Key> get() { return node_key(folder_.string(), random_); }
  void put(const std::string& text, mode_t mode = 0600) {
    fs::create_directories(folder_);
    std::ofstream(file_) << text;
    ASSERT_EQ(::chmod(file_.c_str(), mode), 0);
  }
  void expect_wrong(std::string_view what) {
    const auto key = get();
    ASSERT_FALSE(key);
    EXPECT_NE(key.error().text.find(file_.string()), std::string::npos) << key.error().text;
    EXPECT_NE(key.error().text.find(what), std::string::npos) << key.error().text;
    EXPECT_EQ(key.error().text.find('\n'), std::string::npos);
  }

  SeededRandom random_{7};
  fs::path root_;
  fs::path folder_;
  fs::path file_;
};

TEST_F(NodeKey, IsMadeOnceAndKept) {
  const auto first = get();
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_FALSE(first->is_zero());
  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0700U);
  EXPECT_EQ(*first, *get());
  const auto files = std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  EXPECT_EQ(files, 1) << "no temporary file stays";
}

TEST_F(NodeKey, TwoAgentsThatStartAtOnceHaveTheSame) {
  const auto first = get();
  ASSERT_TRUE(first);
  SeededRandom other(8);
  EXPECT_EQ(*first, *node_key(folder_.string(), other));
}

TEST_F(NodeKey, AWrongFileIsOneClearErrorAndStays) {
  put("");
  expect_wrong("does not hold a base64 key");
  put(std::string(64, 'A'));
  expect_wrong("does not hold a base64 key");
  put(std::string(43, 'A') + "=\n");
  expect_wrong("does not hold a base64 key");
  put(tunnel::Key::generate_private(random_).base64(), 0644);
  expect_wrong("has mode 0644, want 0600");
  EXPECT_TRUE(fs::exists(file_));
}

TEST_F(NodeKey, OnlyARegularFileIsRead) {
  fs::create_directories(file_);
  expect_wrong("is not a regular file");
  fs::remove(file_);
  put(tunnel::Key::generate_private(random_).base64());
  fs::rename(file_, folder_ / "elsewhere");
  fs::create_symlink("elsewhere", file_);
  expect_wrong("is a symbolic link");
  fs::remove(file_);
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  expect_wrong("is not a regular file");
}

TEST_F(NodeKey, AFolderThatCannotBeMadeIsAnError) {
  std::ofstream(root_ / "a") << "a file";
  const auto key = get();
  ASSERT_FALSE(key);
  EXPECT_NE(key.error().text.find((root_ / "a").string()), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
