#include "gateway/peers/no_answer.h"

#include <gtest/gtest.h>

#include "gateway/object.h"
#include "gateway/tunnels.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const WallTime kSince(seconds(1'764'360'000));  // 2025-11-28T20:00:00Z

TEST(NoAnswer, SaysSinceWhenWhereAndWhatToDo) {
  const Attempts attempts{{at("10.0.0.1:4500"), at("[fd00::1]:4500")}, kSince, {}};
  EXPECT_EQ(no_answer(attempts, kSince + seconds(19)), "") << "the next endpoint may answer";
  EXPECT_EQ(
      no_answer(attempts, kSince + seconds(20)),
      "no handshake was answered since 2025-11-28T20:00:00Z, the first try. Tried: "
      "10.0.0.1:4500, [fd00::1]:4500. These are private addresses. If the clusters share no "
      "network, give one side an endpoint that the other can reach. If one of the two gateways "
      "is newer than the pairing: `causewayctl pair --refresh`");
  EXPECT_EQ(no_answer(attempts, kSince + seconds(20)), no_answer(attempts, kSince + seconds(9000)))
      << "a sentence that changes would be written again and again";
}

TEST(NoAnswer, PublicAddressesHaveAnotherRemedyAndFewAreNamed) {
  Attempts attempts{{}, kSince, {}};
  for (int n = 1; n <= 6; ++n) attempts.endpoints.push_back(at(fmt::format("192.0.2.{}:4500", n)));
  const auto text = no_answer(attempts, kSince + seconds(60));
  EXPECT_NE(text.find("192.0.2.4:4500 and 2 more. Check that the gateway runs"), std::string::npos)
      << text;
}

TEST(NoAnswer, ATunnelThatWasUpHasTheLifeOfASession) {
  Attempts attempts{{at("192.0.2.1:4500")}, kSince, kSince + seconds(100)};
  EXPECT_EQ(no_answer(attempts, kSince + seconds(279)), "");
  EXPECT_NE(
      no_answer(attempts, kSince + seconds(280)).find("since the last one at 2025-11-28T20:01:40Z"),
      std::string::npos);
  EXPECT_EQ(no_answer(attempts, kSince + seconds(280)).find("pair --refresh"), std::string::npos)
      << "the other side knew the gateway";
  attempts.endpoints.clear();
  EXPECT_NE(no_answer(attempts, kSince + seconds(280)).find("it must call this gateway"),
            std::string::npos);
}

// The default of `causewayctl pair`, between two clusters behind NAT.
TEST(NoAnswer, IsInTheStatusOfATunnelWhoseEndpointsCannotBeReached) {
  SimLoop loop;
  Metrics metrics;
  tunnel::FakeDriver driver;
  Tunnels tunnels(loop, driver, metrics, {private_key(1), 4500, seconds(5)});
  auto west = remote_cluster(2, 1, 1);
  west.gateways[0].candidates = {at("10.0.0.1:4500")};
  tunnels.set_clusters({{"west", west}});
  const auto trouble = [&] { return tunnel_statuses(tunnels).at(0).trouble; };
  EXPECT_EQ(trouble(), "");
  for (int n = 0; n < 25; ++n) {
    loop.advance(seconds(1));
    tunnels.reconcile();
  }
  EXPECT_NE(trouble().find("Tried: 10.0.0.1:4500. These are private addresses"), std::string::npos)
      << trouble();
  driver.device().peers.at(public_key(200)).last_handshake = loop.wall_now();
  tunnels.reconcile();
  EXPECT_EQ(trouble(), "");
}

TEST(NoAnswer, IsNotSaidOfATunnelThatWorks) {
  SimLoop loop;
  Metrics metrics;
  tunnel::FakeDriver driver;
  Tunnels tunnels(loop, driver, metrics, {private_key(1), 4500, seconds(5)});
  auto west = remote_cluster(2, 1, 1);
  west.gateways[0].candidates = {at("10.0.0.1:4500")};
  tunnels.set_clusters({{"west", west}});
  tunnel::ProbeView view;
  view.usable = true;
  view.state = tunnel::LinkState::kUp;
  tunnels.set_views({{GatewayId{"west", 0}, view}});
  for (int n = 0; n < 300; ++n) {
    loop.advance(seconds(1));
    tunnels.reconcile();
  }
  EXPECT_EQ(tunnel_statuses(tunnels).at(0).trouble, "");
}

}  // namespace
}  // namespace cw::gateway
