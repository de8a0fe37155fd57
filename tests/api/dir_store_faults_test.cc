// The directory store with slow disks, locks of other processes and broken entries.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "api/dir/dir_store.h"
#include "api/dir/file_lock.h"
#include "api/store/informer.h"
#include "api/types/codec.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace cw::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

const std::string kPeer =
    "spec:\n  clusterId: east\n  gateways:\n    - ordinal: 0\n      publicKey: "
    "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE=\n";

class DirStoreFaults : public testing::Test {
 protected:
  DirStoreFaults() {
    char name[] = "/tmp/causeway-faults-XXXXXX";
    root_ = fs::path(mkdtemp(name)) / "store";
    auto opened = open_dir_store(loop_, random_, root_);
    EXPECT_TRUE(opened) << opened.error().text;
    store_ = std::move(*opened);
  }
  ~DirStoreFaults() override {
    store_.reset();
    fs::remove_all(root_.parent_path());
  }
  void turn(const std::function<bool()>& done, Duration limit = seconds(20)) {
    const auto poll = loop_.every(milliseconds(1), [&] {
      if (done()) loop_.stop();
    });
    const auto end = loop_.after(limit, [&] { loop_.stop(); });
    loop_.run();
    EXPECT_TRUE(done());
  }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  static Object service(const std::string& ns, const std::string& name) {
    return {
        Kind::kServiceExport, {ns, name}, "", {{"metadata", {{"name", name}, {"namespace", ns}}}}};
  }

  EventLoop loop_;
  SystemRandom random_;
  fs::path root_;
  std::unique_ptr<Store> store_;
};

// Another user of the host must not be able to hold the lock or to read the folder.
TEST_F(DirStoreFaults, TheFolderAndItsLockAreForTheirOwnerOnly) {
  struct stat status {};
  ASSERT_EQ(stat(root_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0750U);
  ASSERT_EQ(stat((root_ / ".lock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  ASSERT_EQ(::chmod((root_ / ".lock").c_str(), 0644), 0);
  ASSERT_TRUE(lock_file(root_ / ".lock", seconds(1)));
  ASSERT_EQ(stat((root_ / ".lock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U) << "an older one is mended";
}

TEST_F(DirStoreFaults, AReadOnlyDescriptorHoldsNothing) {
  const UniqueFd reader(::open((root_ / ".lock").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  EXPECT_NE(::fcntl(reader.get(), F_OFD_SETLK, &whole), 0);
  ASSERT_EQ(::flock(reader.get(), LOCK_EX), 0);  // the attack
  EXPECT_TRUE(lock_file(root_ / ".lock", milliseconds(10)));
}

TEST_F(DirStoreFaults, ALockThatDoesNotComeNamesItsHolder) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const auto child = ::fork();
  if (child == 0) {
    const auto held = lock_file(root_ / ".lock", seconds(1));
    (void)!::write(ready[1], held ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const auto refused = lock_file(root_ / ".lock", milliseconds(50));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_NE(refused.error().text.find("locked by pid " + std::to_string(child)), std::string::npos)
      << refused.error().text;

  // The loop is not blocked, the store sees other writes, and it names the holder of the lock.
  Informer<ClusterPeer> informer(loop_, *store_, random_, [] {});
  turn([&] { return informer.synced(); });
  bool done = false;
  const auto handle = store_->create(service("shop", "web"), [&](const Result<Object>& r) {
    EXPECT_FALSE(r);
    done = true;
  });
  int ticks = 0;
  const auto timer = loop_.every(milliseconds(5), [&] { ++ticks; });
  turn([&] { return ticks > 40; });
  EXPECT_FALSE(done) << "it still waits";
  turn([&] { return done; });
  EXPECT_NE(store_->trouble().blocked.find("pid " + std::to_string(child)), std::string::npos);
  write("clusterpeers/east.yaml", kPeer);
  turn([&] { return informer.items().size() == 1; });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  turn([&] { return store_->trouble().blocked.empty(); });  // without another write
  std::optional<Result<Object>> again;
  const auto retry = store_->create(service("shop", "web"), [&](Result<Object> r) { again = r; });
  turn([&] { return again.has_value(); });
  EXPECT_TRUE(*again);
  EXPECT_EQ(store_->trouble().blocked, "");
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(DirStoreFaults, AnEntryThatCannotBeReadCostsThatEntryOnly) {
  write("serviceexports/shop/good.yaml", "{}\n");
  write("serviceexports/shop/deep.yaml", std::string(500'000, '[') + "\n");
  fs::create_symlink("loop.yaml", root_ / "serviceexports/shop/loop.yaml");
  fs::create_symlink("/nonexistent", root_ / "serviceexports/shop/nothing.yaml");
  fs::create_directory(root_ / "serviceexports/shop/folder.yaml");
  ASSERT_EQ(::mkfifo((root_ / "serviceexports/shop/fifo.yaml").c_str(), 0600), 0);
  fs::create_symlink("loop", root_ / "serviceexports/loop");
  std::ofstream(root_ / "serviceexports/not-a-folder") << "x";
  Informer<ServiceExport> informer(loop_, *store_, random_, [] {});
  turn([&] { return informer.synced(); });
  EXPECT_NE(informer.find({"shop", "good"}), nullptr);
  EXPECT_EQ(informer.items().size(), 1U);
  EXPECT_EQ(store_->trouble().unreadable, 4U);
  std::optional<Result<Object>> made;
  const auto handle = store_->create(service("shop", "new"), [&](Result<Object> r) { made = r; });
  turn([&] { return made && informer.items().size() == 2; });
  EXPECT_TRUE(*made);
  EXPECT_TRUE(informer.available());
  // A repaired entry counts.
  fs::remove(root_ / "serviceexports/shop/loop.yaml");
  write("serviceexports/shop/loop.yaml", "{}\n");
  turn([&] { return informer.items().size() == 3; });
  EXPECT_EQ(store_->trouble().unreadable, 3U);
}

TEST_F(DirStoreFaults, AnEntryThatTurnsUnreadableStaysAsItWas) {
  write("serviceexports/shop/web.yaml", "{}\n");
  write("serviceexports/other/web.yaml", "{}\n");
  Informer<ServiceExport> informer(loop_, *store_, random_, [] {});
  turn([&] { return informer.items().size() == 2; });
  // In one step: a file that is missing for a moment counts as removed.
  fs::create_symlink("web.yaml", root_ / "loop");
  fs::rename(root_ / "loop", root_ / "serviceexports/shop/web.yaml");
  turn([&] { return store_->trouble().unreadable == 1; });
  EXPECT_EQ(informer.items().size(), 2U);
  fs::remove_all(root_ / "serviceexports/shop");
  turn([&] { return informer.items().size() == 1; });
}

}  // namespace
}  // namespace cw::api
