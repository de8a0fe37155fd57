// Probes through gateways as the agent uses them, with a prober by hand.
#include "routeagent/forwarding_probes.h"

#include <gtest/gtest.h>

#include "routeagent/node/vtep.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::routeagent {
namespace {

using std::chrono::milliseconds;
using tunnel::PathVerdict;

struct Hand {
  tunnel::ForwardingProber::Paths paths;
  Duration interval{};
  std::map<tunnel::PathKey, tunnel::PathView> views;
  tunnel::ForwardingConfig config;
  tunnel::ForwardingProber::OnChange on_change;
  int opened = 0;
  bool refuse = false;
};

class HandForwarding final : public tunnel::ForwardingProber {
 public:
  explicit HandForwarding(std::shared_ptr<Hand> hand) : hand_(std::move(hand)) {}
  void set_paths(const Paths& paths, Duration interval) override {
    hand_->paths = paths;
    hand_->interval = interval;
  }
  std::map<tunnel::PathKey, tunnel::PathView> views() const override { return hand_->views; }

 private:
  std::shared_ptr<Hand> hand_;
};

const ChoiceKey kWest{"west", Family::kV4};
const tunnel::PathKey kThrough0{0, "west", Family::kV4};

class ForwardingStory : public ::testing::Test {
 protected:
  ForwardingStory() {
    std::array<std::uint8_t, 32> bytes{1};
    node_.self = {"w0", *IpAddress::parse("10.0.0.3"), {*Prefix::parse("10.1.3.0/24")}};
    node_.gateways = {{0, "g0", *IpAddress::parse("10.0.0.1"), tunnel::Key(bytes)}};
    bytes[0] = 2;
    node_.remotes = {{"west", {*Prefix::parse("10.2.0.0/16")}, {tunnel::Key(bytes)}}};
    node_.overlay = OverlayKey{1};
    node_.host.underlay_mtu = 1500;
    node_.host.prefer_src = {{Family::kV4, *IpAddress::parse("10.1.3.1")}};
  }
  void see(PathVerdict verdict) {
    hand_->views[kThrough0] = {verdict, {}, milliseconds(3)};
    hand_->on_change();
  }
  GatewayInput judged() {
    GatewayInput gateway;
    forwarding_.add_to(gateway);
    return gateway;
  }

  Seen node_;
  std::shared_ptr<Hand> hand_ = std::make_shared<Hand>();
  int changes_ = 0;
  Metrics metrics_;
  ForwardingProbes forwarding_{
      [this](tunnel::ForwardingConfig config, tunnel::ForwardingProber::OnChange on_change)
          -> Result<std::unique_ptr<tunnel::ForwardingProber>> {
        if (hand_->refuse) return fail(Errc::kUnavailable, "taken");
        ++hand_->opened;
        hand_->config = std::move(config);
        hand_->on_change = std::move(on_change);
        return std::make_unique<HandForwarding>(hand_);
      },
      metrics_, [this] { ++changes_; }};
};

TEST_F(ForwardingStory, AsksFromThePodPrefixAtTheSizeOfPodsPackets) {
  forwarding_.reconcile(node_);
  EXPECT_EQ(hand_->config.local, node_.host.prefer_src);
  EXPECT_EQ(hand_->config.path.size.full, 1420U);
  EXPECT_EQ(hand_->paths.size(), 1U);
  EXPECT_EQ(hand_->paths.at(kThrough0).size(), 1U);
  EXPECT_EQ(hand_->interval, milliseconds(200));
  forwarding_.reconcile(node_);
  EXPECT_EQ(hand_->opened, 1) << "unchanged probes go on";
  node_.host.prefer_src[Family::kV4] = *IpAddress::parse("10.1.3.2");
  forwarding_.reconcile(node_);
  EXPECT_EQ(hand_->opened, 2);
}

TEST_F(ForwardingStory, ManyNodesAskSeldom) {
  for (int n = 0; n < 999; ++n) node_.others.push_back({std::to_string(n), {}, {}});
  forwarding_.reconcile(node_);
  EXPECT_EQ(hand_->interval, milliseconds(2500));
}

TEST_F(ForwardingStory, VerdictsReachTheGatewaysInputAndTheMetrics) {
  forwarding_.reconcile(node_);
  EXPECT_TRUE(judged().forwards.empty());
  see(PathVerdict::kForwards);
  EXPECT_EQ(judged().forwards, std::set<ChoiceKey>{kWest});
  const std::string series =
      "causeway_routeagent_gateway_forwards{cluster=\"west\",family=\"ipv4\",gateway=\"0\"} ";
  EXPECT_NE(metrics_.text().find(series + "1"), std::string::npos) << metrics_.text();
  see(PathVerdict::kSilent);
  EXPECT_EQ(judged().not_forwarding, std::set<ChoiceKey>{kWest});
  EXPECT_NE(metrics_.text().find(series + "0"), std::string::npos);
  EXPECT_EQ(changes_, 2);
  node_.gateways.clear();
  forwarding_.reconcile(node_);
  EXPECT_TRUE(judged().not_forwarding.empty());
  EXPECT_EQ(metrics_.text().find("gateway_forwards{"), std::string::npos);
}

TEST_F(ForwardingStory, TheLeastFloorOfAllGatewaysCounts) {
  forwarding_.reconcile(node_);
  EXPECT_TRUE(forwarding_.path_mtu().empty());
  hand_->views[{0, "west", Family::kV4}] = {PathVerdict::kForwards, 1364, {}};
  hand_->views[{1, "west", Family::kV4}] = {PathVerdict::kForwards, 1300, {}};
  hand_->views[{1, "west", Family::kV6}] = {PathVerdict::kForwards, {}, {}};
  hand_->on_change();
  EXPECT_EQ(forwarding_.path_mtu(), (std::map<ChoiceKey, std::uint32_t>{{kWest, 1300}}));
  EXPECT_NE(metrics_.text().find("causeway_routeagent_path_mtu_bytes{cluster=\"west\",family="
                                 "\"ipv4\",gateway=\"1\"} 1300"),
            std::string::npos);
}

TEST_F(ForwardingStory, WithoutASocketNothingIsKnown) {
  hand_->refuse = true;
  forwarding_.reconcile(node_);
  EXPECT_NE(forwarding_.trouble(), "");
  hand_->refuse = false;
  forwarding_.reconcile(node_);
  EXPECT_EQ(forwarding_.trouble(), "");
  EXPECT_EQ(hand_->opened, 1);
}

// A gateway's own node probes its own gateway. The probes find the path MTU and give no verdict.
TEST_F(ForwardingStory, OnTheGatewaysOwnNodeOnlyTheSizeCounts) {
  node_.self.name = "g0";
  const auto own = tunnel::probe_address(*node_.gateways[0].key, Family::kV4);
  node_.host.tunnel_addresses = {own, tunnel::probe_address(*node_.gateways[0].key, Family::kV6)};
  forwarding_.reconcile(node_);
  EXPECT_EQ(hand_->config.own_gateway, 0U);
  EXPECT_EQ(hand_->config.own, (std::map<Family, IpAddress>{{Family::kV4, own}}));
  EXPECT_EQ(hand_->paths.at(kThrough0).front(),
            tunnel::probe_address(*node_.remotes[0].gateways.begin(), Family::kV4));
  hand_->views[kThrough0] = {PathVerdict::kSilent, 1300, {}};
  hand_->on_change();
  EXPECT_TRUE(judged().not_forwarding.empty());
  EXPECT_EQ(forwarding_.path_mtu(), (std::map<ChoiceKey, std::uint32_t>{{kWest, 1300}}));
  EXPECT_EQ(metrics_.text().find("gateway_forwards{"), std::string::npos);
  EXPECT_NE(metrics_.text().find("path_mtu_bytes{"), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
