// Two hosts with one key, and cases that only look like it.
#include "gateway/peers/rivals.h"

#include <gtest/gtest.h>

#include "gateway/object.h"
#include "gateway/tunnels.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const GatewayId kId{"west", 0};

class Rivals : public ::testing::Test {
 protected:
  void see(const char* endpoint, bool heard = true, const char* ours = nullptr) {
    now_ += seconds(1);
    if (heard) rx_ += 100;
    rivals_.record(kId, at(endpoint), rx_, ours == nullptr ? std::nullopt : std::optional(at(ours)),
                   now_);
  }
  [[nodiscard]] std::size_t count() const { return rivals_.rivals(kId).size(); }

  KeyRivals rivals_;
  TimePoint now_{seconds(100)};
  std::uint64_t rx_ = 0;
};

TEST_F(Rivals, AnEndpointThatReturnsAgainAndAgainHasTwoHosts) {
  for (int n = 0; n < 4; ++n) {
    see("192.0.2.1:4500");
    see("198.51.100.1:4500");
  }
  EXPECT_EQ(rivals_.rivals(kId),
            (std::set<Endpoint>{at("192.0.2.1:4500"), at("198.51.100.1:4500")}));
  for (int n = 0; n < 62; ++n) see("192.0.2.1:4500");
  EXPECT_EQ(count(), 0U) << "one of them stopped";
}

TEST_F(Rivals, AGatewayThatRoamsIsOneHost) {
  see("192.0.2.1:4500");
  see("198.51.100.1:4500");
  see("192.0.2.1:4500");  // and back again
  for (int n = 0; n < 20; ++n) see("192.0.2.1:4500");
  EXPECT_EQ(count(), 0U);
}

TEST_F(Rivals, ANatThatForgetsIsOneHost) {
  for (int n = 0; n < 30; ++n) see(fmt::format("192.0.2.1:{}", 1000 + n).c_str());
  EXPECT_EQ(count(), 0U);
}

TEST_F(Rivals, CandidatesThatWeTryAreNoHosts) {
  for (int n = 0; n < 10; ++n) {
    see("192.0.2.1:4500", false, "192.0.2.1:4500");
    see("198.51.100.1:4500", true, "198.51.100.1:4500");
  }
  EXPECT_EQ(count(), 0U);
}

TEST(KeyUsedTwice, ShowsInTheStatusAndIsToldOnce) {
  SimLoop loop;
  Metrics metrics;
  tunnel::FakeDriver driver;
  std::vector<std::string> told;
  Tunnels tunnels(
      loop, driver, metrics, {private_key(1), 4500, seconds(5)},
      {{}, {}, {}, [&](const GatewayId&, const std::string& text) { told.push_back(text); }});
  tunnels.set_clusters({{"west", remote_cluster(2, 1, 1)}});
  EXPECT_NE(tunnel_statuses(tunnels).at(0).trouble.find("names no usable endpoint"),
            std::string::npos)
      << "neither side calls";
  auto& peer = driver.device().peers.at(public_key(200));
  for (int n = 0; n < 12; ++n) {
    loop.advance(seconds(1));
    peer.rx_bytes += 100;
    peer.endpoint = at(n % 2 == 0 ? "192.0.2.1:4500" : "198.51.100.1:4500");
    tunnels.reconcile();
  }
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("two hosts use the key of west/0"), std::string::npos) << told[0];
  EXPECT_EQ(tunnel_statuses(tunnels).at(0).trouble, told[0]);
  EXPECT_NE(metrics.text().find("causeway_tunnel_key_rivals 1"), std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
