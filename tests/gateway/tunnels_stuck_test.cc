// A device with a stuck peer: handshakes succeed, but no data comes.
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "gateway/object.h"
#include "gateway/tunnels.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

TEST(StuckTunnel, PeerAndThenDeviceAreReplacedAndReported) {
  SimLoop loop;
  Metrics metrics;
  tunnel::FakeDriver driver;
  std::vector<Remedy> told;
  Tunnels tunnels(loop, driver, metrics, {private_key(1), 4500, seconds(5)},
                  {{}, [&](const GatewayId&, Remedy remedy) { told.push_back(remedy); }, {}});
  tunnels.set_clusters({{"west", remote_cluster(2, 1, 1)}});
  const auto key = public_key(200);
  tunnel::ProbeView view;
  view.state = tunnel::LinkState::kDown;
  tunnels.set_views({{GatewayId{"west", 0}, view}});
  (void)driver.take_log();
  const auto go = [&](int count, bool handshake) {
    for (int n = 0; n < count; ++n) {
      loop.advance(seconds(1));
      auto& peer = driver.device().peers.at(key);
      peer.tx_bytes += 1000;
      if (handshake && n == 0) {
        peer.last_handshake = loop.wall_now();
        peer.rx_bytes += 92;
      }
      tunnels.reconcile();
    }
  };
  go(5, false);
  EXPECT_EQ(driver.take_log(), "");
  go(20, true);
  EXPECT_NE(driver.take_log().find("remove"), std::string::npos) << "the peer";
  EXPECT_EQ(tunnel_statuses(tunnels).at(0).state, "stuck");
  EXPECT_NE(metrics.text().find("causeway_tunnel_stuck_total{remedy=\"peer\"} 1"),
            std::string::npos)
      << metrics.text();
  go(20, true);
  EXPECT_NE(metrics.text().find("causeway_tunnel_stuck_total{remedy=\"device\"} 1"),
            std::string::npos);
  EXPECT_TRUE(driver.exists());
  EXPECT_EQ(told, (std::vector{Remedy::kPeer, Remedy::kDevice}));
  EXPECT_EQ(driver.device().peers.count(key), 1U) << "with its peers again";
  go(60, true);
  driver.device().peers.at(key).rx_bytes += 1000;
  go(1, false);
  EXPECT_EQ(tunnel_statuses(tunnels).at(0).state, "down");
}

}  // namespace
}  // namespace cw::gateway
