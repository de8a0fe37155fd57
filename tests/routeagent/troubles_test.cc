// Faults that stop traffic although each part works, on the whole agent with a virtual clock.
#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "routeagent/coordinator.h"
#include "tests/routeagent/node_kernel.h"

namespace cw::routeagent {
namespace {

using std::chrono::seconds;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

// Both gateways reach west and answer, unless `answers` is false.
class UpProber final : public tunnel::Prober {
 public:
  explicit UpProber(std::shared_ptr<bool> answers) : answers_(std::move(answers)) {}
  void set_targets(const std::map<GatewayId, tunnel::ProbeTarget>& targets) override {
    targets_ = targets;
  }
  void ask_now(const GatewayId& /*target*/) override {}
  tunnel::ProbeViews views() override {
    tunnel::ProbeViews views;
    for (const auto& [name, target] : targets_) {
      auto& view = views[name];
      view.state = tunnel::LinkState::kUp;
      view.usable = *answers_;
      view.clusters.push_back({"west", true});
    }
    return views;
  }

 private:
  std::shared_ptr<bool> answers_;
  std::map<GatewayId, tunnel::ProbeTarget> targets_;
};

// Probes through gateways come back, or none does.
struct Sight {
  tunnel::PathVerdict verdict = tunnel::PathVerdict::kForwards;
  tunnel::ForwardingProber::OnChange changed;
};
class HandForwarding final : public tunnel::ForwardingProber {
 public:
  explicit HandForwarding(std::shared_ptr<Sight> sight) : sight_(std::move(sight)) {}
  void set_paths(const Paths& paths, Duration /*interval*/) override { paths_ = paths; }
  std::map<tunnel::PathKey, tunnel::PathView> views() const override {
    std::map<tunnel::PathKey, tunnel::PathView> views;
    for (const auto& [key, targets] : paths_) views[key] = {sight_->verdict, {}, {}};
    return views;
  }

 private:
  std::shared_ptr<Sight> sight_;
  Paths paths_;
};

class TroubleStory : public ::testing::Test {
 protected:
  void SetUp() override {
    api::ClusterProperty id;
    id.meta.key.name = api::kClusterIdProperty;
    id.value = "east";
    store_.put(id);
    for (int n = 1; n <= 3; ++n) {
      api::Node node;
      node.meta.key.name = "n" + std::to_string(n);
      node.pod_cidrs = {net("10.1." + std::to_string(n) + ".0/24")};
      node.internal_ips = {ip("10.0.0." + std::to_string(n))};
      store_.put(node);
    }
    for (const std::uint32_t ordinal : {0U, 1U}) {
      api::TunnelGateway gateway;
      gateway.meta.key.name = "gateway-" + std::to_string(ordinal);
      gateway.spec.ordinal = ordinal;
      gateway.spec.public_key = tunnel::Key::generate_private(random_).public_key().base64();
      gateway.spec.node = "n" + std::to_string(ordinal + 1);
      gateway.spec.node_ip = ip("10.0.0." + std::to_string(ordinal + 1));
      store_.put(gateway);
    }
    api::ClusterPeer peer;
    peer.meta.key.name = peer.spec.cluster_id = "west";
    peer.spec.gateways = {{0, tunnel::Key::generate_private(random_).public_key().base64(), {}}};
    peer.spec.allowed_cidrs = peer.status.cidrs = {net("10.2.0.0/16")};
    store_.put(peer);
    api::Secret key;
    key.meta.key = {"causeway-system", "causeway-overlay-key"};
    key.data["key"] = std::string(32, 'k');
    store_.put(key);
  }
  void start() {
    config_.node = "n3";
    config_.store = "dir:/none";
    kernel_.links["cni0"] = {5, "cni0", "bridge", 1500, true, {}};
    kernel_.addresses.push_back({"cni0", ip("10.1.3.1"), 24});
    coordinator_ = std::make_unique<Coordinator>(Deps{
        loop_, random_, store_, kernel_, metrics_, config_, node_key_,
        LedgerFile{Ledger{}, [this](const std::string& /*text*/,
                                    LedgerFile::Done done) { loop_.post([done] { done({}); }); }},
        [this](const tunnel::ProberConfig& /*config*/,
               const tunnel::ProberHooks& /*hooks*/) -> Result<std::unique_ptr<tunnel::Prober>> {
          return std::make_unique<UpProber>(answers_);
        },
        [this](const tunnel::ForwardingConfig& /*config*/,
               tunnel::ForwardingProber::OnChange changed)
            -> Result<std::unique_ptr<tunnel::ForwardingProber>> {
          sight_->changed = std::move(changed);
          return std::make_unique<HandForwarding>(sight_);
        }});
    loop_.advance(seconds(1));
    kernel_event(seconds(3));
  }
  void kernel_event(Duration settle = seconds(1)) {
    kernel_.notify();
    loop_.advance(settle);
  }
  api::RouteAgent::Status status() {
    return store_.must_get<api::RouteAgent>({"", config_.node}).status;
  }

  SimLoop loop_;
  SeededRandom random_{7};
  tunnel::Key node_key_ = tunnel::Key::generate_private(random_);
  api::MemoryStore store_{loop_, random_};
  NodeKernel kernel_;
  Metrics metrics_;
  Config config_;
  std::shared_ptr<bool> answers_ = std::make_shared<bool>(true);
  std::shared_ptr<Sight> sight_ = std::make_shared<Sight>();
  std::unique_ptr<Coordinator> coordinator_;
};

TEST_F(TroubleStory, IsNotReadyWhileTheClusterIdIsAnotherThanAtTheStart) {
  start();
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
  auto id = store_.must_get<api::ClusterProperty>({"", std::string(api::kClusterIdProperty)});
  id.value = "orient";
  store_.put(id);
  loop_.advance(seconds(2));
  ASSERT_EQ(coordinator_->not_ready().size(), 1U);
  EXPECT_NE(coordinator_->not_ready()[0].find("changed from east to orient"), std::string::npos);
  id = store_.must_get<api::ClusterProperty>(id.meta.key);
  id.value = "east";
  store_.put(id);
  loop_.advance(seconds(2));
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
}

// The AWS VPC CNI has a rule for each pod. It would lead the pod's packets past our tables.
TEST_F(TroubleStory, IsNotReadyWhileAnothersRuleTakesPodsAway) {
  netlink::AnyRule rule;
  rule.priority = 50;
  rule.from = net("10.1.3.0/24");
  rule.table = 2;
  kernel_.foreign_rules = {rule};
  kernel_.foreign_tables[2] = {net("0.0.0.0/0")};
  start();
  ASSERT_EQ(coordinator_->not_ready().size(), 1U);
  EXPECT_NE(coordinator_->not_ready()[0].find("50: from 10.1.3.0/24 lookup 2"), std::string::npos);
  EXPECT_EQ(status().errors, coordinator_->not_ready());
  EXPECT_EQ(status().conditions.at(0).status, api::ConditionStatus::kFalse);
  EXPECT_NE(metrics_.text().find("causeway_routeagent_rules_before 1"), std::string::npos);
  kernel_.foreign_rules.clear();
  kernel_event(seconds(2));
  EXPECT_TRUE(coordinator_->not_ready().empty());
  kernel_.foreign_rules = {rule};
  kernel_event(seconds(2));
  EXPECT_FALSE(coordinator_->not_ready().empty()) << "it came back later";
}

TEST_F(TroubleStory, AMovedPriorityWinsAgainstIt) {
  netlink::AnyRule rule;
  rule.priority = 1536;
  rule.table = 2;
  kernel_.foreign_rules = {rule};
  kernel_.foreign_tables[2] = {net("0.0.0.0/0")};
  config_.rules.bypass = 1000;
  start();
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
  for (const auto& ours : kernel_.rules) {
    EXPECT_GE(ours.priority, 1000U);
    EXPECT_LE(ours.priority, 1005U);
  }
}

// After `kubectl drain` the kernel's device is left: it outlives its gateway.
TEST_F(TroubleStory, TheDeviceOfAGatewayThatMovedAwayGoes) {
  auto gateway = store_.must_get<api::TunnelGateway>({"", "gateway-0"});
  const auto key = tunnel::Key::generate_private(random_).public_key();
  gateway.spec.public_key = key.base64();
  gateway.spec.node = "n3";
  gateway.spec.node_ip = ip("10.0.0.3");
  store_.put(gateway);
  kernel_.add_tunnel();
  kernel_.addresses.push_back({"cw-wg", tunnel::control_address(key), 128});
  kernel_.rules.insert({Family::kV4, 7486, 7486, "cw-vx"});
  kernel_.nft["causeway-gateway"] = "the gateway's";
  start();
  loop_.advance(seconds(20));
  EXPECT_EQ(kernel_.links.count("cw-wg"), 1U) << "its gateway may be restarting";
  gateway = store_.must_get<api::TunnelGateway>({"", "gateway-0"});
  gateway.spec.node = "n1";
  store_.put(gateway);
  loop_.advance(seconds(3));
  EXPECT_EQ(kernel_.links.count("cw-wg"), 1U) << "it may be about to come back";
  *answers_ = false;
  loop_.advance(seconds(30));
  EXPECT_EQ(kernel_.links.count("cw-wg"), 1U) << "an old object: it may run here";
  *answers_ = true;
  loop_.advance(seconds(4));
  EXPECT_EQ(kernel_.links.count("cw-wg"), 0U);
  EXPECT_EQ(kernel_.nft.count("causeway-gateway"), 0U);
  for (const auto& rule : kernel_.rules) EXPECT_NE(rule.table, 7486U);
}

TEST_F(TroubleStory, ANodeWithoutPodCidrIsNotReady) {
  auto node = store_.must_get<api::Node>({"", "n3"});
  node.pod_cidrs.clear();
  store_.put(node);
  start();
  ASSERT_FALSE(coordinator_->not_ready().empty());
  EXPECT_NE(coordinator_->not_ready()[0].find("Node n3 has no pod prefix"), std::string::npos);
  EXPECT_EQ(status().errors.size(), 1U);
}

// Calico gives pods addresses of its own pools and routes each to its veth device.
TEST_F(TroubleStory, PodsOutsideOfTheNodesPrefixAreNamed) {
  kernel_.foreign_routes.pods = {{ip("10.1.3.7"), "cali1"}, {ip("192.168.7.1"), "cali2"}};
  start();
  ASSERT_EQ(coordinator_->not_ready().size(), 1U);
  EXPECT_NE(coordinator_->not_ready()[0].find("192.168.7.1 (cali2)"), std::string::npos)
      << coordinator_->not_ready()[0];
  EXPECT_EQ(status().errors, coordinator_->not_ready());
  kernel_.foreign_routes.pods.pop_back();
  kernel_event();
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
}

// If all nodes are gateway nodes, no other node can find this.
TEST_F(TroubleStory, OnAGatewayNodeSaysThatNoOtherGatewayForwardsAndStaysReady) {
  auto own = store_.must_get<api::TunnelGateway>({"", "gateway-1"});
  own.spec.node = "n3";
  own.spec.node_ip = ip("10.0.0.3");
  store_.put(own);
  kernel_.add_tunnel();
  sight_->verdict = tunnel::PathVerdict::kSilent;
  start();
  loop_.advance(seconds(10));
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
  ASSERT_EQ(status().errors.size(), 1U);
  EXPECT_NE(status().errors[0].find("no gateway of another node forwards IPv4 packets to west"),
            std::string::npos)
      << status().errors[0];
}

TEST_F(TroubleStory, SaysSoWhenNoGatewayForwards) {
  start();
  EXPECT_TRUE(coordinator_->not_ready().empty()) << coordinator_->not_ready().front();
  sight_->verdict = tunnel::PathVerdict::kSilent;
  sight_->changed();
  loop_.advance(seconds(3));
  EXPECT_TRUE(coordinator_->not_ready().empty()) << "it may be a failover";
  loop_.advance(seconds(4));
  ASSERT_EQ(coordinator_->not_ready().size(), 1U);
  EXPECT_NE(coordinator_->not_ready()[0].find("no gateway forwards IPv4 packets to west"),
            std::string::npos);
  EXPECT_EQ(status().errors, coordinator_->not_ready());
  EXPECT_EQ(status().conditions.at(0).status, api::ConditionStatus::kFalse);
  sight_->verdict = tunnel::PathVerdict::kForwards;
  sight_->changed();
  loop_.advance(seconds(2));
  EXPECT_TRUE(coordinator_->not_ready().empty());
}

}  // namespace
}  // namespace cw::routeagent
