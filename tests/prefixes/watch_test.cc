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
    for (const auto kind :
         {Kind::kCalicoBlockV1, Kind::kCalicoBlockV3, Kind::kCiliumNode, Kind::kNodeNetworkConfig,
          Kind::kCalicoIpamBlockV1, Kind::kCalicoIpamBlockV3, Kind::kCalicoIpamConfigV1,
          Kind::kCalicoIpamConfigV3, Kind::kCalicoPoolV1, Kind::kCalicoPoolV3,
          Kind::kOpenShiftNetwork}) {
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

TEST_F(PodNetworkWatchTest, BorrowedAddressesAreFollowedUnlessCalicosRulesExcludeThem) {
  for (const auto kind :
       {Kind::kCalicoBlockV1, Kind::kCalicoIpamBlockV1, Kind::kCalicoIpamConfigV1}) {
    store_.set_absent(kind, false);
  }
  loop_.advance(std::chrono::seconds(60));
  put(Kind::kNode, R"({"metadata": {"name": "n1"}})");
  put(Kind::kNode, R"({"metadata": {"name": "n2"}})");
  put(Kind::kCalicoIpamBlockV1, calico_ipam_block("n1", "10.1.0.0/26", {"n2"}).dump());
  EXPECT_EQ(nodes(), "") << "no block belongs to a node: it is not Calico's IPAM";
  put(Kind::kCalicoBlockV1, calico_v1("n1", "10.1.0.0/26"));
  ASSERT_TRUE(watch_->synced());
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26; n2 10.1.0.10/32");
  const auto before = changes_;
  put(Kind::kCalicoIpamBlockV1, calico_ipam_block("n1", "10.1.0.0/26", {"n2", "n1"}).dump());
  EXPECT_EQ(changes_, before) << "a pod that borrows nothing changes nothing";
  put(Kind::kCalicoIpamBlockV1, calico_ipam_block("n1", "10.1.0.0/26").dump());
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26");
  put(Kind::kCalicoIpamBlockV1, calico_ipam_block("n1", "10.1.0.0/26", {"n2"}).dump());
  put(Kind::kCalicoIpamConfigV1,
      R"({"metadata": {"name": "default"}, "spec": {"strictAffinity": true}})");
  EXPECT_EQ(nodes(), "n1 10.1.0.0/26");
}

TEST_F(PodNetworkWatchTest, LooksForRangesOnceNoNodeHasAPrefix) {
  put(Kind::kNode, R"({"metadata": {"name": "n1"}})");
  EXPECT_EQ(watch_->network().source, Source::kNode);
  put(Kind::kConfigMap, R"({"metadata": {"name": "kubeadm-config", "namespace": "kube-system"},
    "data": {"ClusterConfiguration": "networking: {podSubnet: 10.244.0.0/16}"}})");
  ASSERT_TRUE(watch_->synced()) << watch_->synced().error().text;
  EXPECT_EQ(watch_->network().source, Source::kCluster);
  EXPECT_EQ(texts_of(watch_->network().of("")), std::vector<std::string>{"10.244.0.0/16"});
  put(Kind::kNode, kNode);
  EXPECT_EQ(watch_->network().source, Source::kNode);
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
