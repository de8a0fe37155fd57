#include "gateway/peers/candidates.h"

#include <gtest/gtest.h>

#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

const TimePoint kSeenAt{std::chrono::hours(1)};

Contact by_name(const std::string& text) { return *Contact::parse(text); }

struct World {
  std::string cluster = "west";
  api::PeerGateway paired{0, public_key(21).base64(), {at("192.0.2.1:4500")}};
  api::LearnedGateway announced;
  NameBook names;
  Sightings sightings;
  std::vector<OwnPrefixes> own;
  PrefixSet remote;

  void resolve(const std::string& name, std::vector<IpAddress> addresses) {
    std::map<NameOf, bool> wanted{{{cluster, name}, true}};
    names.set_wanted(wanted);
    names.record({cluster, name}, std::move(addresses), kSeenAt);
  }
  [[nodiscard]] Candidates found() const {
    return candidates_of({cluster, paired, &announced}, {&names, &sightings, own, remote});
  }
};

TEST(Candidates, ArePairedThenAnnouncedThenSightedAndThereOnce) {
  World w;
  w.announced.gateway.endpoints = {at("198.51.100.1:4500"), at("192.0.2.1:4500")};
  w.sightings.hear({"north", 0}, sighting_id(public_key(21)), at("203.0.113.1:40000"), kSeenAt);
  w.sightings.hear({"south", 0}, sighting_id(public_key(21)), at("198.51.100.1:4500"), kSeenAt);
  EXPECT_EQ(w.found().endpoints,
            (std::vector<Endpoint>{at("192.0.2.1:4500"), at("198.51.100.1:4500"),
                                   at("203.0.113.1:40000")}));
}

TEST(Candidates, ANameStandsForAllOfItsAddressesInItsPlace) {
  World w;
  w.paired.endpoints = {by_name("gw.example.com:51820"), at("192.0.2.1:4500")};
  w.resolve("gw.example.com", {ip("2001:db8::1"), ip("192.0.2.7")});
  EXPECT_EQ(w.found().endpoints,
            (std::vector<Endpoint>{at("[2001:db8::1]:51820"), at("192.0.2.7:51820"),
                                   at("192.0.2.1:4500")}));
  EXPECT_EQ(w.found().trouble, "");
}

// A name leads wherever its owner likes.
TEST(Candidates, AddressesThatCanBeNoRemoteGatewaysAreLeftOutAndNamed) {
  World w;
  w.paired.endpoints = {by_name("gw.example.com:4500")};
  w.own = {{"the address of a node of this cluster", PrefixSet(std::vector{net("192.0.2.9/32")})}};
  w.remote = PrefixSet(std::vector{net("10.2.0.0/16")});
  w.resolve("gw.example.com",
            {ip("127.0.0.1"), ip("169.254.169.254"), ip("192.0.2.9"), ip("10.2.0.1")});
  const auto found = w.found();
  EXPECT_TRUE(found.endpoints.empty());
  EXPECT_NE(found.trouble.find("has the address"), std::string::npos) << found.trouble;
  for (const auto* text : {"127.0.0.1", "192.0.2.9", "10.2.0.1"}) {
    w.sightings.hear({text, 0}, sighting_id(public_key(21)), {ip(text), 4500}, kSeenAt);
    EXPECT_TRUE(w.found().endpoints.empty()) << text;
  }
}

TEST(Candidates, AGatewayPairedWithoutEndpointsIsTriedOnlyWhereItIsSeen) {
  World w;
  w.paired.endpoints.clear();
  w.announced.gateway.endpoints = {at("10.9.9.9:4500")};
  EXPECT_TRUE(w.found().endpoints.empty());
  w.sightings.hear({"north", 0}, sighting_id(public_key(21)), at("203.0.113.1:40000"), kSeenAt);
  EXPECT_EQ(w.found().endpoints, std::vector<Endpoint>{at("203.0.113.1:40000")});
}

TEST(Candidates, TheirNumberIsBounded) {
  World w;
  for (int n = 2; n < 60; ++n) {
    w.announced.gateway.endpoints.push_back(at(fmt::format("192.0.2.{}:4500", n)));
  }
  EXPECT_EQ(w.found().endpoints.size(), kMaxCandidates);
}

TEST(WantedNames, OfAnnouncementsAreFewAndFailIfAnyGatewayFails) {
  auto west = peer("west", {21, 22});
  west->spec.gateways[0].endpoints = {by_name("lb.example.com:4500")};
  west->spec.gateways[1].endpoints = {by_name("lb.example.com:4501")};
  const RemoteState::Peers peers{{west->meta.key, west}};
  const NameOf balancer{"west", "lb.example.com"};
  EXPECT_TRUE(wanted_names(peers, {}, {{"west", 0}}).at(balancer));
  EXPECT_FALSE(wanted_names(peers, {}, {{"west", 0}, {"west", 1}}).at(balancer));
  AcceptedClusters said;
  api::LearnedGateway learned;
  for (int n = 0; n < 10; ++n) {
    learned.gateway.endpoints.push_back(by_name(fmt::format("n{}.example.com:1", n)));
  }
  said["west"].gateways = {learned};
  EXPECT_EQ(wanted_names(peers, said, {}).size(), 1 + kMaxAnnouncedNames);
}

}  // namespace
}  // namespace cw::gateway
