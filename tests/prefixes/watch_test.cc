#include "prefixes/watch.h"

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "tests/prefixes/objects.h"

namespace cw::prefixes {
namespace {

using api::Kind;

class PodNetworkWatchTest : public ::testing::Test {
 protected:
  PodNetworkWatchTest() {
    for (const auto kind : {Kind::kCalicoBlockV1, Kind::kCalicoBlockV3, Kind::kCiliumNode,
                            Kind::kNodeNetworkConfig}) {
      store_.set_absent(kind, true);
    }
    watch_.emplace(loop_, store_, random_, "causeway-system", [this] { ++changes_; });
    turn();
  }

  void turn() { loop_.advance(std::chrono::seconds(1)); }
  void put(Kind kind, const std::string& text) {
    const auto body = nlohmann::json::parse(text);
    store_.put_body(kind, {body["metadata"].value("namespace", ""), body["metadata"]["name"]},
                    body);
    turn();
  }
  void put_settings(const std::string& source) {
    put(Kind::kConfigMap,
        nlohmann::json{
            {"metadata", {{"name", "causeway-prefixes"}, {"namespace", "causeway-system"}}},
            {"data", {{"source", source}}}}
            .dump());
  }
  std::string nodes() { return text_of(watch_->network().nodes); }

  SimLoop loop_;
  SeededRandom random_{1};
  api::MemoryStore store_{loop_, random_};
  int changes_ = 0;
  std::optional<PodNetworkWatch> watch_;
};

constexpr const char* kNode =
    R"({"metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.244.0.0/24"]}})";

TEST_F(PodNetworkWatchTest, KindsThatTheClusterDoesNotHaveAreNotWaitedFor) {
  put(Kind::kNode, kNode);
  ASSERT_TRUE(watch_->synced()) << watch_->synced().error().text;
  EXPECT_TRUE(watch_->available());
  EXPECT_EQ(nodes(), "n1 10.244.0.0/24");
}

TEST_F(PodNetworkWatchTest, AKindThatIsAddedLaterIsFoundWithinAMinute) {
  put(Kind::kNode, kNode);
  store_.set_absent(Kind::kCalicoBlockV1, false);
  put(Kind::kCalicoBlockV1, calico_v1("n1", "10.1.0.0/26"));
  loop_.advance(std::chrono::seconds(60));
  EXPECT_EQ(watch_->network().source, Source::kCalico);
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26");
}

TEST_F(PodNetworkWatchTest, FollowsBlocksAsTheyComeAndGo) {
  store_.set_absent(Kind::kCalicoBlockV1, false);
  loop_.advance(std::chrono::seconds(60));
  put(Kind::kNode, kNode);
  put(Kind::kCalicoBlockV1, calico_v1("n1", "10.1.0.0/26"));
  const auto before = changes_;
  put(Kind::kCalicoBlockV1, calico_v1("n1", "10.1.0.64/26"));
  EXPECT_GT(changes_, before);
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26 10.1.0.64/26");
  store_.drop(Kind::kCalicoBlockV1, {"", "n1-10.1.0.0/26"});
  turn();
  EXPECT_EQ(nodes(), "n1 10.1.0.64/26");
}

TEST_F(PodNetworkWatchTest, SettingsChangeItAtOnceAndBadOnesChangeNothing) {
  store_.set_absent(Kind::kCalicoBlockV1, false);
  loop_.advance(std::chrono::seconds(60));
  put(Kind::kNode, kNode);
  put(Kind::kCalicoBlockV1, calico_v1("n1", "10.1.0.0/26"));
  put_settings("node");
  EXPECT_EQ(nodes(), "n1 10.244.0.0/24");
  put_settings("canal");
  EXPECT_EQ(nodes(), "n1 10.244.0.0/24");
  EXPECT_NE(watch_->trouble().find("\"canal\": want auto"), std::string::npos);
  put_settings("auto");
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26");
  EXPECT_EQ(watch_->trouble(), "");
}

}  // namespace
}  // namespace cw::prefixes
