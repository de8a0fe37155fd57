#include <gtest/gtest.h>

#include "routeagent/store_view.h"

namespace cw::routeagent {
namespace {

Prefix net(std::string_view text) { return *Prefix::parse(text); }

api::ClusterPeer west() {
  api::ClusterPeer peer;
  peer.meta.key.name = peer.spec.cluster_id = "west";
  peer.spec.gateways = {{0, "AQ" + std::string(41, 'A') + "=", {}}};
  peer.spec.allowed_cidrs = {net("10.2.0.0/16"), net("fd00:2::/48")};
  return peer;
}

TEST(RemoteViewOfAPeer, HasTheClaimsThatTheSpecAllows) {
  auto peer = west();
  peer.status.cidrs = {net("10.2.1.0/24"), net("fd00:2:0:1::/64")};
  EXPECT_EQ(remote_view(peer).prefixes, peer.status.cidrs);
}

TEST(RemoteViewOfAPeer, HasNoClaimOutsideTheSpec) {
  auto peer = west();
  peer.status.cidrs = {net("8.8.8.8/32"), net("10.96.0.0/12"), net("10.2.1.0/24"),
                       net("10.0.0.0/8"), net("::/0"),         net("fd00:3::/64")};
  EXPECT_EQ(remote_view(peer).prefixes, std::vector<Prefix>{net("10.2.1.0/24")});
  peer.spec.allowed_cidrs.clear();
  EXPECT_TRUE(remote_view(peer).prefixes.empty());
}

TEST(RemoteViewOfAPeer, HasNoGatewayThatOnlyTheStatusNames) {
  auto peer = west();
  api::LearnedGateway learned;
  learned.gateway = {7, "Aw" + std::string(41, 'A') + "=", {}};
  peer.status.gateways = {learned};
  const auto gateways = remote_view(peer).gateways;
  ASSERT_EQ(gateways.size(), 1U);
  EXPECT_EQ(gateways.begin()->base64(), peer.spec.gateways[0].public_key);
}

}  // namespace
}  // namespace cw::routeagent
