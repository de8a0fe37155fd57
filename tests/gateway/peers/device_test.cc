#include "gateway/peers/device.h"

#include <gtest/gtest.h>

#include "netlink/owner.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::gateway {
namespace {

using homing::placement_of;

using Clusters = std::map<std::string, RemoteCluster>;

const std::map<GatewayId, Endpoint> kNoEndpoints;

std::set<GatewayId> all_of(const Clusters& clusters) {
  std::set<GatewayId> ids;
  for (const auto& [cluster, remote] : clusters) {
    for (const auto& [ordinal, gateway] : remote.gateways) ids.insert({cluster, ordinal});
  }
  return ids;
}

unsigned below(std::mt19937& dice, unsigned end) { return static_cast<unsigned>(dice() % end); }

tunnel::DeviceSpec device(const Clusters& clusters, const Placement& placement) {
  return desired_device({private_key(1), 4500, 5, clusters, placement, kNoEndpoints});
}

TEST(Device, EveryPrefixIsAtOnePeerWhateverTheViews) {
  std::mt19937 dice(6);
  for (int round = 0; round < 200; ++round) {
    Clusters clusters{{"west", remote_cluster(2, 1 + below(dice, 3), 3 + below(dice, 9))},
                      {"north", remote_cluster(3, 1 + below(dice, 3), 3 + below(dice, 9))}};
    // Admission excludes this: two clusters with one prefix.
    clusters["north"].nodes["n0"].push_back(clusters["west"].cidrs[0]);
    std::set<GatewayId> usable;
    for (const auto& id : all_of(clusters)) {
      if (dice() % 2 == 0) usable.insert(id);
    }
    const auto spec = device(clusters, placement_of(clusters, {usable, {}, {}}, {}));
    EXPECT_EQ(spec.peers.size(), all_of(clusters).size());
    std::set<Prefix> seen;
    for (const auto& [key, peer] : spec.peers) {
      EXPECT_EQ(peer.allowed_ips.count(Prefix::host(tunnel::control_address(key))), 1U);
      for (const auto& prefix : peer.allowed_ips) EXPECT_TRUE(seen.insert(prefix).second);
    }
    for (const auto& prefix : clusters["west"].cidrs) EXPECT_EQ(seen.count(prefix), 1U);
  }
}

TEST(Device, UnchangedPeersAreUntouchedByAMove) {
  const Clusters clusters{{"north", remote_cluster(3, 1, 3)}, {"west", remote_cluster(2, 2, 4)}};
  tunnel::FakeDriver driver;
  ASSERT_TRUE(driver.apply(device(clusters, placement_of(clusters, {all_of(clusters), {}}, {}))));
  (void)driver.take_log();
  auto usable = all_of(clusters);
  usable.erase({"west", 0});
  ASSERT_TRUE(driver.apply(device(clusters, placement_of(clusters, {usable, {}, {}}, {}))));
  const auto log = driver.take_log();
  const auto north = clusters.at("north").gateways.at(0).key.base64().substr(0, 8);
  EXPECT_EQ(log.find(north), std::string::npos) << log;
  EXPECT_FALSE(log.empty());
  ASSERT_TRUE(driver.apply(device(clusters, placement_of(clusters, {usable, {}, {}}, {}))));
  EXPECT_EQ(driver.take_log(), "");
}

// Without the mark, the tunnel's own packets would follow a peer's claimed routes into the tunnel.
TEST(Device, AsksForTheMarkThatTheRulePastItsRoutesTakes) {
  const Clusters clusters{{"west", remote_cluster(2, 1, 1)}};
  const auto spec = device(clusters, placement_of(clusters, {all_of(clusters), {}, {}}, {}));
  EXPECT_EQ(spec.fwmark, netlink::kTunnelMark);
  tunnel::FakeDriver driver;
  ASSERT_TRUE(driver.apply(spec));
  auto device = *driver.read();
  EXPECT_EQ(device.fwmark, netlink::kTunnelMark);
  EXPECT_TRUE(matches(device, spec));
  device.fwmark = 0;  // another program removed it
  EXPECT_FALSE(matches(device, spec));
}

TEST(Device, MatchesWhatItMadeAndNothingElse) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const auto spec = device(clusters, placement_of(clusters, {all_of(clusters), {}}, {}));
  tunnel::FakeDriver driver;
  ASSERT_TRUE(driver.apply(spec));
  EXPECT_TRUE(matches(*driver.read(), spec));
  driver.device().peers.begin()->second.endpoint = at("203.0.113.9:1");  // the peer roamed
  EXPECT_TRUE(matches(*driver.read(), spec));
  driver.device().peers.begin()->second.allowed_ips.clear();
  EXPECT_FALSE(matches(*driver.read(), spec));
  driver.device().peers.erase(driver.device().peers.begin());
  EXPECT_FALSE(matches(*driver.read(), spec));
}

}  // namespace
}  // namespace cw::gateway
