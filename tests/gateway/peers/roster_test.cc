#include "gateway/peers/roster.h"

#include <gtest/gtest.h>

#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

const std::map<std::string, AcceptedCluster> kNothingSaid;

RemoteState::Peers named(std::initializer_list<std::shared_ptr<api::ClusterPeer>> list) {
  RemoteState::Peers peers;
  for (const auto& one : list) peers[one->meta.key] = one;
  return peers;
}

TEST(PairedClusters, LeaveOutOurOwnCluster) {
  const auto paired = paired_clusters("east", named({peer("east", {1}), peer("west", {2})}));
  EXPECT_EQ(paired.peers.size(), 1U);
  EXPECT_EQ(paired.peers.begin()->second->spec.cluster_id, "west");
  EXPECT_EQ(paired.troubles.at({"", "east"}).reason, "OwnCluster");
}

TEST(PairedClusters, LeaveOutAClusterThatIsUnpaired) {
  auto gone = peer("west", {1});
  gone->spec.unpaired = true;
  const auto paired = paired_clusters("east", named({gone, peer("north", {2})}));
  ASSERT_EQ(paired.peers.size(), 1U);
  EXPECT_EQ(paired.peers.begin()->second->spec.cluster_id, "north");
  EXPECT_EQ(paired.troubles.at({"", "west"}).reason, "Unpaired");
}

TEST(PairedClusters, KeepTheOldestOfSeveralForOneCluster) {
  auto young = peer("west", {1}, std::chrono::seconds(20));
  young->meta.key.name = "a-young-one";
  const auto old = peer("west", {2}, std::chrono::seconds(10));
  const auto paired = paired_clusters("east", named({young, old}));
  ASSERT_EQ(paired.peers.size(), 1U);
  EXPECT_EQ(paired.peers.begin()->second, old);
  EXPECT_EQ(paired.troubles.at({"", "a-young-one"}).reason, "DuplicateCluster");
}

TEST(PairedClusters, OfEquallyOldOnesTheLowerNameCounts) {
  auto first = peer("west", {1});
  first->meta.key.name = "a";
  const auto second = peer("west", {2});
  EXPECT_EQ(paired_clusters("east", named({second, first})).peers.begin()->second, first);
}

TEST(PairedClusters, LeaveOutAnIdThatIsNoLabel) {
  auto odd = peer("west", {1});
  odd->spec.cluster_id = "West Side";
  EXPECT_EQ(paired_clusters("east", named({odd})).troubles.at({"", "west"}).reason,
            "InvalidClusterId");
}

TEST(Roster, GivesEveryGatewayItsControlAddress) {
  const auto peers = named({peer("west", {1, 2})});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  ASSERT_EQ(roster.clusters.at("west").gateways.size(), 2U);
  const auto& gateway = roster.clusters.at("west").gateways.at(1);
  EXPECT_EQ(gateway.key, public_key(2));
  EXPECT_EQ(gateway.control_address, tunnel::control_address(public_key(2)));
  EXPECT_TRUE(roster.troubles.empty());
}

TEST(Roster, LeavesOutOurOwnKeyAndKeepsTheRest) {
  const auto peers = named({peer("west", {1, 2}), peer("north", {3})});
  const auto roster = roster_of({peers, kNothingSaid, {public_key(1)}, {}});
  EXPECT_EQ(roster.clusters.at("west").gateways.count(0), 0U);
  EXPECT_EQ(roster.clusters.at("west").gateways.count(1), 1U);
  EXPECT_EQ(roster.clusters.at("north").gateways.size(), 1U);
  EXPECT_EQ(roster.troubles.at({"", "west"}).reason, "OwnKey");
  EXPECT_EQ(roster.troubles.count({"", "north"}), 0U);
}

TEST(Roster, LeavesOutAKeyThatCannotBeRead) {
  auto west = peer("west", {1, 2});
  west->spec.gateways[0].public_key = "not a key";
  west->spec.gateways[1].public_key = tunnel::Key().base64();  // all zero
  const auto peers = named({west});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_TRUE(roster.clusters.at("west").gateways.empty());
  EXPECT_EQ(roster.troubles.at({"", "west"}).reason, "InvalidKey");
}

TEST(Roster, AKeyOfTwoClustersStaysWithTheOlderOne) {
  const auto peers = named({peer("a-late", {7}, std::chrono::seconds(9)),
                            peer("z-early", {7}, std::chrono::seconds(3))});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_EQ(roster.clusters.at("z-early").gateways.size(), 1U);
  EXPECT_TRUE(roster.clusters.at("a-late").gateways.empty());
  EXPECT_EQ(roster.troubles.at({"", "a-late"}).reason, "DuplicateKey");
}

TEST(Roster, AKeyListedTwiceInOneClusterCountsOnce) {
  const auto peers = named({peer("west", {7, 7})});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_EQ(roster.clusters.at("west").gateways.size(), 1U);
  EXPECT_EQ(roster.troubles.at({"", "west"}).reason, "DuplicateKey");
}

TEST(Roster, AnOrdinalListedTwiceCountsOnce) {
  auto west = peer("west", {1, 2});
  west->spec.gateways[1].ordinal = 0;
  const auto peers = named({west});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_EQ(roster.clusters.at("west").gateways.at(0).key, public_key(1));
  EXPECT_EQ(roster.troubles.at({"", "west"}).reason, "DuplicateOrdinal");
}

TEST(Roster, WithoutItsPresharedKeyAClusterGetsNoTunnel) {
  auto west = peer("west", {1});
  west->spec.preshared_key_secret = "west-psk";
  const auto peers = named({west, peer("north", {2})});
  const auto without = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_TRUE(without.clusters.at("west").gateways.empty());
  EXPECT_EQ(without.clusters.at("north").gateways.size(), 1U);
  EXPECT_EQ(without.troubles.at({"", "west"}).reason, "NoPresharedKey");
  const auto with = roster_of({peers, kNothingSaid, {}, {{"west-psk", {private_key(9)}}}});
  EXPECT_EQ(with.clusters.at("west").gateways.at(0).preshared_key, private_key(9));
  EXPECT_TRUE(with.troubles.empty());
}

TEST(Roster, AKeptPresharedKeyServesAndIsTold) {
  auto west = peer("west", {1});
  west->spec.preshared_key_secret = "west-psk";
  const auto peers = named({west});
  const auto roster = roster_of({peers, kNothingSaid, {}, {{"west-psk", {private_key(9), true}}}});
  EXPECT_EQ(roster.clusters.at("west").gateways.at(0).preshared_key, private_key(9));
  EXPECT_EQ(roster.troubles.at({"", "west"}).reason, "PresharedKeyKept");
}

TEST(Roster, AnAllowedPrefixThatIsNoneIsNamedAndTheGatewaysAreUsed) {
  auto west = peer("west", {1});
  west->spec.unusable_cidrs = {"10.0.0.0/99"};
  const auto peers = named({west});
  const auto roster = roster_of({peers, kNothingSaid, {}, {}});
  EXPECT_EQ(roster.clusters.at("west").gateways.size(), 1U);
  const auto& trouble = roster.troubles.at({"", "west"});
  EXPECT_EQ(trouble.reason, "CidrUnusable");
  EXPECT_NE(trouble.message.find("10.0.0.0/99"), std::string::npos);
}

TEST(Roster, TakesAnnouncedEndpointsAfterThePairedOnes) {
  const auto peers = named({peer("west", {1})});
  std::map<std::string, AcceptedCluster> said;
  api::LearnedGateway learned;
  learned.gateway = {0, public_key(1).base64(), {at("198.51.100.1:4500"), at("192.0.2.1:4500")}};
  learned.node = "n0";
  said["west"].cidrs = {net("10.2.0.0/24")};
  said["west"].nodes = {{"n0", {net("10.2.0.0/24")}}};
  said["west"].gateways = {learned};
  const auto roster = roster_of({peers, said, {}, {}});
  const auto& gateway = roster.clusters.at("west").gateways.at(0);
  EXPECT_EQ(gateway.candidates,
            (std::vector<Endpoint>{at("192.0.2.1:4500"), at("198.51.100.1:4500")}));
  EXPECT_EQ(gateway.node, "n0");
  EXPECT_EQ(roster.clusters.at("west").nodes, said["west"].nodes);
  EXPECT_EQ(roster.clusters.at("west").cidrs, said["west"].cidrs);
}

TEST(Roster, AGatewayPairedWithoutEndpointsStaysPassive) {
  auto west = peer("west", {1});
  west->spec.gateways[0].endpoints.clear();
  const auto peers = named({west});
  std::map<std::string, AcceptedCluster> said;
  api::LearnedGateway learned;
  learned.gateway = {0, public_key(1).base64(), {at("10.9.9.9:4500")}};
  said["west"].gateways = {learned};
  const auto roster = roster_of({peers, said, {}, {}});
  EXPECT_TRUE(roster.clusters.at("west").gateways.at(0).candidates.empty());
}

TEST(Roster, AnEndpointThatIsNoneIsNamedAndTheOthersAreUsed) {
  auto west = peer("west", {21});
  west->spec.gateways[0].unusable_endpoints = {"gw:4500"};
  const RemoteState::Peers peers{{west->meta.key, west}};
  const auto roster = roster_of({peers, {}, {}, {}});
  EXPECT_EQ(roster.clusters.at("west").gateways.at(0).candidates.size(), 1U);
  const auto& trouble = roster.troubles.at(west->meta.key);
  EXPECT_EQ(trouble.reason, "EndpointUnusable");
  EXPECT_NE(trouble.message.find("gw:4500"), std::string::npos);
}

TEST(Roster, ANameWithoutAddressIsATroubleOfItsClusterAndStopsNothing) {
  auto west = peer("west", {21});
  west->spec.gateways[0].endpoints.push_back(*Contact::parse("gw.example.com:4500"));
  const RemoteState::Peers peers{{west->meta.key, west}};
  NameBook names;
  names.set_wanted(wanted_names(peers, {}, {}));
  names.record({"west", "gw.example.com"}, fail(Errc::kNotFound, "has no address"), {});
  const auto roster = roster_of({peers, {}, {}, {}, {&names, nullptr}});
  EXPECT_EQ(roster.clusters.at("west").gateways.at(0).candidates,
            std::vector<Endpoint>{at("192.0.2.1:4500")});
  const auto& trouble = roster.troubles.at(west->meta.key);
  EXPECT_EQ(trouble.reason, "NameUnresolved");
  EXPECT_NE(trouble.message.find("gw.example.com:4500 cannot be used: the name has no address"),
            std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
