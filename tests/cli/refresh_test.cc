// What `pair` and `pair --refresh` make of a known ClusterPeer.
#include "cli/refresh.h"

#include <gtest/gtest.h>

#include "tests/cli/pair_scene.h"

namespace cw::cli {
namespace {

// East knows west as it was paired.
OwnCluster east_with(const api::ClusterPeer& known) {
  auto own = kEast;
  own.peers = {known};
  return own;
}

Offer offer(const OwnCluster& own) { return *offer_of(own, {}); }

OwnCluster with_ranges(OwnCluster own, std::string_view range) {
  own.ranges = {{*Prefix::parse(range)}, "IPPools (Calico)", {}};
  return own;
}

std::vector<std::string> refresh_changes(const api::ClusterPeer& known, const Offer& now,
                                         bool keep_endpoints = false) {
  const auto own = east_with(known);
  return changes_of(known.spec, refreshed_peer(own, now, {}, keep_endpoints).spec);
}

TEST(Refresh, ChangesNothingWhereNothingChanged) {
  const auto now = offer(with_ranges(kWest, "10.2.0.0/16"));
  EXPECT_TRUE(refresh_changes(now.peer, now).empty());
}

TEST(Refresh, AllowsARangeThatCameAndEndsOneThatWent) {
  const auto known = offer(with_ranges(kWest, "10.2.0.0/16")).peer;
  auto grown = with_ranges(kWest, "10.2.0.0/16");
  grown.ranges.pods.push_back(*Prefix::parse("10.32.0.0/16"));
  EXPECT_EQ(refresh_changes(known, offer(grown)),
            (std::vector<std::string>{"10.32.0.0/16 is allowed now"}));
  EXPECT_EQ(refresh_changes(offer(grown).peer, offer(with_ranges(kWest, "10.2.0.0/16"))),
            (std::vector<std::string>{"10.32.0.0/16 is no longer allowed"}));
}

TEST(Refresh, TakesNothingAwayFromAClusterWhoseRangesAreUnknown) {
  auto known = *peer_of(kWest, {{*Prefix::parse("10.2.0.0/16")}, false});
  EXPECT_TRUE(refresh_changes(known, offer(kWest)).empty());
  known.spec.allowed_cidrs = {*Prefix::parse("10.2.0.0/24")};
  EXPECT_EQ(refresh_changes(known, offer(kWest)),
            (std::vector<std::string>{"10.2.1.0/24 is allowed now"}));
}

TEST(Refresh, TakesNewGatewaysAndKeysAndShowsTheirFingerprints) {
  const auto known = offer(kWest).peer;
  auto more = kWest;
  more.gateways.push_back(more.gateways.front());
  more.gateways.back().spec.ordinal = 2;
  more.gateways.back().spec.public_key = key_number(77);
  more.gateways.front().spec.public_key = key_number(78);
  const auto lines = refresh_changes(known, offer(more));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "gateway west/1: key was " + fingerprint_number(21) + ", is now " +
                          fingerprint_number(78));
  EXPECT_EQ(lines[1],
            "gateway west/2 is new: " + fingerprint_number(77) + ", endpoints 192.0.2.2:4500");
  auto less = kWest;
  less.gateways.pop_back();
  EXPECT_EQ(refresh_changes(known, offer(less)),
            (std::vector<std::string>{"gateway west/0 is gone"}));
}

TEST(Refresh, KeepsWhatThisSideHasByHand) {
  auto known = offer(kWest).peer;
  known.meta.labels = {{"team", "net"}};
  known.meta.annotations = {{"note", "by hand"}};
  known.spec.imports = std::vector<api::ImportRule>{{"shop", "*", true, true}};
  known.spec.preshared_key_secret = "west-psk";
  auto moved = kWest;
  for (auto& gateway : moved.gateways) {
    gateway.spec.endpoints = {*Endpoint::parse("198.51.100.9:4500")};
  }
  const auto own = east_with(known);
  const auto wanted = refreshed_peer(own, offer(moved), {}, false);
  EXPECT_EQ(wanted.meta.labels, known.meta.labels);
  EXPECT_EQ(wanted.meta.annotations, known.meta.annotations);
  EXPECT_EQ(wanted.spec.imports, known.spec.imports);
  EXPECT_EQ(wanted.spec.preshared_key_secret, "west-psk");
  EXPECT_EQ(changes_of(known.spec, wanted.spec),
            (std::vector<std::string>{
                "gateway west/0: endpoints were 192.0.2.2:4500, are now 198.51.100.9:4500",
                "gateway west/1: endpoints were 192.0.2.2:4500, are now 198.51.100.9:4500"}));
  EXPECT_TRUE(refresh_changes(known, offer(moved), true).empty()) << "--keep-endpoints";
}

TEST(Refresh, AClusterThatMustCallIsNotCalledAfterwards) {
  const auto known = *peer_of(kWest, {{}, true});
  EXPECT_TRUE(refresh_changes(known, offer(kWest)).empty());
  auto more = kWest;
  more.gateways.push_back(more.gateways.front());
  more.gateways.back().spec.ordinal = 2;
  more.gateways.back().spec.public_key = key_number(77);
  const auto own = east_with(known);
  const auto wanted = refreshed_peer(own, offer(more), {}, false);
  ASSERT_EQ(wanted.spec.gateways.size(), 3U);
  for (const auto& gateway : wanted.spec.gateways) EXPECT_TRUE(gateway.endpoints.empty());
}

// Both sites use the same private addresses, and the administrator removed such an endpoint.
TEST(Refresh, LeavesOutAnEndpointThatIsAnAddressOfThisCluster) {
  const auto known = offer(kWest).peer;
  auto now = kWest;
  now.gateways.front().spec.endpoints.push_back(*Endpoint::parse("172.16.1.1:4500"));
  EXPECT_TRUE(refresh_changes(known, offer(now)).empty());
}

TEST(Refresh, WritesTheObjectThatGatewaysUseAndKnowsAnEndedPairing) {
  auto known = offer(kWest).peer;
  auto younger = known;
  known.meta.created = WallTime(std::chrono::seconds(1));
  known.meta.key.name = "occident";
  younger.meta.created = WallTime(std::chrono::seconds(2));
  auto own = kEast;
  own.peers = {younger, known};
  EXPECT_EQ(known_peer(own, "west")->meta.key.name, "occident");
  EXPECT_EQ(refreshed_peer(own, offer(kWest), {}, false).meta.key.name, "occident");
  EXPECT_EQ(known_peer(own, "north"), nullptr);
  known.spec.unpaired = true;
  EXPECT_EQ(known_peer(east_with(known), "west"), nullptr);
}

}  // namespace
}  // namespace cw::cli
