// The directory store while people edit its files without its lock.
#include "api/dir/files.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const ObjectKey kWest{"", "west"};

class FilesTest : public testing::Test {
 protected:
  FilesTest() {
    char name[] = "/tmp/causeway-files-XXXXXX";
    root_ = mkdtemp(name);
    EXPECT_TRUE(files_.emplace(root_).set_up());
  }
  ~FilesTest() override { fs::remove_all(root_); }

  // As an editor saves: a new file in the place of the old one.
  void edit(const std::string& text) const {
    const auto folder = root_ / "clusterpeers";
    std::ofstream(folder / ".edited") << text;
    fs::rename(folder / ".edited", folder / "west.yaml");
  }
  [[nodiscard]] std::string content() const {
    std::stringstream text;
    text << std::ifstream(root_ / "clusterpeers/west.yaml").rdbuf();
    return text.str();
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(root_ / "clusterpeers"), fs::directory_iterator()));
  }

  fs::path root_;
  std::optional<Files> files_;
};

TEST_F(FilesTest, AnObjectThatChangedSinceTheReadIsNotOverwritten) {
  edit("spec: {clusterId: west}\n");
  auto body = *files_->read(Kind::kClusterPeer, kWest);
  ASSERT_TRUE(body);
  edit("spec: {clusterId: north}\n");
  const auto written = files_->write(Kind::kClusterPeer, kWest, *body);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::kConflict);
  const auto erased = files_->erase(Kind::kClusterPeer, kWest);
  ASSERT_FALSE(erased);
  EXPECT_EQ(erased.error().code, Errc::kConflict);
  EXPECT_EQ(content(), "spec: {clusterId: north}\n");
  EXPECT_EQ(files(), 1U) << "no temporary file is left";
  ASSERT_TRUE(files_->read(Kind::kClusterPeer, kWest));
  EXPECT_TRUE(files_->write(Kind::kClusterPeer, kWest, *body));
}

TEST_F(FilesTest, AnObjectThatCameOrWentSinceTheReadIsNoticedToo) {
  ASSERT_TRUE(files_->read(Kind::kClusterPeer, kWest));
  edit("spec: {clusterId: west}\n");
  const auto body = json{{"spec", {{"clusterId", "other"}}}};
  EXPECT_FALSE(files_->write(Kind::kClusterPeer, kWest, body));
  ASSERT_TRUE(files_->read(Kind::kClusterPeer, kWest));
  fs::remove(root_ / "clusterpeers/west.yaml");
  EXPECT_FALSE(files_->write(Kind::kClusterPeer, kWest, body));
  EXPECT_EQ(files(), 0U);
}

TEST_F(FilesTest, AnEditInPlaceIsAChangeToo) {
  edit("spec: {clusterId: west}\n");
  const auto body = *files_->read(Kind::kClusterPeer, kWest);
  std::ofstream(root_ / "clusterpeers/west.yaml", std::ios::app) << "# said by a person\n";
  EXPECT_FALSE(files_->write(Kind::kClusterPeer, kWest, *body));
}

// A person edits at the worst moment, `edits` times: after the store has read, before it writes.
class Edited final : public Backend {
 public:
  Edited(Files& files, std::function<void()> edit) : files_(files), edit_(std::move(edit)) {}
  int edits = 0;
  Result<std::shared_ptr<void>> lock() override { return files_.lock(); }
  Result<std::optional<json>> read(Kind kind, const ObjectKey& key) override {
    return files_.read(kind, key);
  }
  Result<> write(Kind kind, const ObjectKey& key, const json& body) override {
    if (edits > 0) {
      --edits;
      edit_();
    }
    return files_.write(kind, key, body);
  }
  Result<> erase(Kind kind, const ObjectKey& key) override { return files_.erase(kind, key); }

 private:
  Files& files_;
  std::function<void()> edit_;
};

class EditedTest : public FilesTest {
 protected:
  // The error of a status update, if it failed.
  std::optional<Errc> status(const std::string& version) {
    json body{{"metadata", {{"name", "west"}}}, {"status", {{"connected", true}}}};
    std::optional<Errc> error;
    bool done = false;
    const auto handle = store_.update_status({Kind::kClusterPeer, kWest, version, std::move(body)},
                                             [&](const Result<Object>& result) {
                                               done = true;
                                               if (!result) error = result.error().code;
                                             });
    loop_.advance(std::chrono::milliseconds(1));
    EXPECT_TRUE(done);
    return error;
  }

  SimLoop loop_;
  SeededRandom random_{1};
  Edited backend_{*files_, [this] { edit("spec: {clusterId: north}\n"); }};
  LocalStore store_{loop_, random_, backend_};
};

TEST_F(EditedTest, AStatusIsAddedToWhatThePersonWrote) {
  edit("spec: {clusterId: west}\n");
  backend_.edits = 1;
  EXPECT_EQ(status(""), std::nullopt);
  EXPECT_NE(content().find("north"), std::string::npos) << content();
  EXPECT_NE(content().find("connected"), std::string::npos) << content();
}

TEST_F(EditedTest, AWriteWithAnOlderVersionIsAConflict) {
  edit("spec: {clusterId: west}\n");
  const auto version = version_of(**files_->read(Kind::kClusterPeer, kWest));
  backend_.edits = 1;
  EXPECT_EQ(status(version), Errc::kConflict);
  EXPECT_EQ(content(), "spec: {clusterId: north}\n");
}

TEST_F(EditedTest, ItIsNotTriedForEver) {
  edit("spec: {clusterId: west}\n");
  backend_.edits = 1000;
  EXPECT_EQ(status(""), Errc::kConflict);
  EXPECT_GT(backend_.edits, 900);
}

}  // namespace
}  // namespace cw::api
