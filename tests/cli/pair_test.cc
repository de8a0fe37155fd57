// The ClusterPeer that a cluster gives to others, and the ones that it accepts.
#include "cli/pair.h"

#include <gtest/gtest.h>

#include "tests/cli/pair_scene.h"
#include "tunnel/fingerprint.h"
#include "tunnel/key.h"

namespace cw::cli {
namespace {

std::string refusal(const api::ClusterPeer& peer, const OwnCluster& own = kEast) {
  const auto good = acceptable(peer, own);
  if (good) return {};
  EXPECT_EQ(good.error().code, Errc::kInvalid);
  EXPECT_EQ(good.error().text.find('\n'), std::string::npos);
  return good.error().text;
}

TEST(PairExport, TheRangesOfTheClusterAreAllowedSoThatItCanGrow) {
  auto own = kWest;
  own.ranges = {{*Prefix::parse("10.2.0.0/16")}, "IPPools (Calico)", {}};
  own.pods.push_back(*Prefix::parse("10.99.0.0/26"));  // of a pool that is gone
  const auto peer = peer_of(own, {});
  ASSERT_TRUE(peer) << peer.error().text;
  EXPECT_EQ(peer->spec.allowed_cidrs,
            (std::vector<Prefix>{*Prefix::parse("10.2.0.0/16"), *Prefix::parse("10.99.0.0/26")}));
  EXPECT_EQ(allowed_text(own, {}), "allowed pods: 10.2.0.0/16, 10.99.0.0/26 (IPPools (Calico))\n");
  EXPECT_EQ(allowed_text(own, {{*Prefix::parse("10.7.0.0/16")}, false}),
            "allowed pods: 10.7.0.0/16 (--cidr)\n");
}

TEST(PairExport, WithoutRangesItSaysThatLaterNodesAreRefused) {
  const auto text = allowed_text(kWest, {});
  EXPECT_EQ(text.find("allowed pods: 10.2.0.0/24, 10.2.1.0/24 (what the nodes have now). "), 0U);
  EXPECT_NE(text.find("--cidr"), std::string::npos);
}

TEST(PairExport, HoldsKeysEndpointsAndPodPrefixes) {
  const auto peer = peer_of(kWest, {});
  ASSERT_TRUE(peer) << peer.error().text;
  EXPECT_EQ(peer->meta.key.name, "west");
  EXPECT_EQ(peer->spec.cluster_id, "west");
  ASSERT_EQ(peer->spec.gateways.size(), 2U);
  EXPECT_EQ(peer->spec.gateways[0].ordinal, 0U);
  EXPECT_EQ(peer->spec.gateways[0].endpoints.at(0).to_string(), "192.0.2.2:4500");
  EXPECT_EQ(peer->spec.allowed_cidrs.size(), 2U);
}

TEST(PairExport, CanNameOtherPrefixesAndNoEndpoints) {
  const auto peer = peer_of(kWest, {{*Prefix::parse("10.2.0.0/16")}, true});
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->spec.allowed_cidrs, (std::vector<Prefix>{*Prefix::parse("10.2.0.0/16")}));
  EXPECT_TRUE(peer->spec.gateways[0].endpoints.empty());
}

TEST(PairExport, SaysWhatIsMissing) {
  auto nameless = kWest;
  nameless.id.clear();
  EXPECT_NE(peer_of(nameless, {}).error().text.find("cluster.clusterset.k8s.io"),
            std::string::npos);
  auto keyless = kWest;
  for (auto& gateway : keyless.gateways) gateway.spec.public_key.clear();
  EXPECT_NE(peer_of(keyless, {}).error().text.find("causeway-gateway"), std::string::npos);
  auto podless = kWest;
  podless.pods.clear();
  EXPECT_NE(peer_of(podless, {}).error().text.find("--cidr"), std::string::npos);
}

TEST(PairExport, IsReadBackByPairAccept) {
  const auto peer = *peer_of(kWest, {});
  const auto text = peer_yaml(peer);
  EXPECT_EQ(text.find("status"), std::string::npos);
  const auto back = parse_peer(text, "west.yaml");
  ASSERT_TRUE(back) << back.error().text << text;
  EXPECT_EQ(back->spec, peer.spec);
  EXPECT_EQ(back->meta.key, peer.meta.key);
  EXPECT_EQ(refusal(*back), "");
}

TEST(PairAccept, RefusesWhatIsNoClusterPeer) {
  for (const auto* text : {"", "x", "[]", "kind: Node\n", "kind: ClusterPeer\n", "a: [\n",
                           "kind: ClusterPeer\nspec: {clusterId: UPPER, gateways: []}\n"}) {
    const auto peer = parse_peer(text, "file");
    ASSERT_FALSE(peer) << text;
    EXPECT_NE(peer.error().text.find("file"), std::string::npos) << peer.error().text;
    EXPECT_EQ(peer.error().text.find('\n'), std::string::npos);
  }
}

TEST(PairAccept, RefusesItself) {
  EXPECT_EQ(refusal(*peer_of(kEast, {})), "east is this cluster itself");
}

TEST(PairAccept, RefusesOverlaps) {
  auto peer = *peer_of(kWest, {});
  peer.spec.allowed_cidrs = {*Prefix::parse("10.1.0.0/16")};
  EXPECT_EQ(refusal(peer),
            "cluster west cannot have 10.1.0.0/16: it overlaps 10.1.0.0/24 (pods of this cluster)");
  peer.spec.allowed_cidrs = {*Prefix::parse("172.16.0.0/12")};
  EXPECT_NE(refusal(peer).find("(the address of a node of this cluster)"), std::string::npos);
  auto own = kEast;
  own.peers = {*peer_of(cluster("north", 3), {{*Prefix::parse("10.2.1.0/24")}, false})};
  EXPECT_NE(refusal(*peer_of(kWest, {}), own).find("of cluster north"), std::string::npos);
  peer.spec.allowed_cidrs.clear();
  EXPECT_NE(refusal(peer).find("allowedCidrs"), std::string::npos);
}

// The prefixes come from the peer's own file, so the file could open any prefix to the peer.
TEST(PairAccept, RefusesPrefixesThatNoPeerCanHave) {
  auto own = kEast;
  own.services = {*Prefix::parse("10.96.0.1/32")};
  own.api_servers = {*IpAddress::parse("198.51.100.6")};
  auto peer = *peer_of(kWest, {});
  for (const auto* prefix :
       {"10.96.0.0/12", "198.51.100.0/24", "169.254.169.254/32", "127.0.0.0/8", "224.0.0.0/4",
        "240.0.0.0/4", "fe80::/64", "ff00::/8", "192.0.0.0/2", "0.0.0.0/0", "::/0"}) {
    peer.spec.allowed_cidrs = {*Prefix::parse("10.2.0.0/16"), *Prefix::parse(prefix)};
    EXPECT_NE(refusal(peer, own).find(std::string("cluster west cannot have ") + prefix),
              std::string::npos)
        << prefix << ": " << refusal(peer, own);
  }
  peer.spec.allowed_cidrs = {
      Prefix::host(tunnel::control_address(*tunnel::Key::from_base64(key_number(10))))};
  EXPECT_NE(refusal(peer, own).find("control address"), std::string::npos);
}

TEST(PairAccept, RefusesEndpointsThatAreNoHostsOfOthers) {
  auto peer = *peer_of(kWest, {});
  for (const auto* endpoint : {"127.0.0.1:53", "224.0.0.1:4500", "0.0.0.0:4500", "[::1]:4500",
                               "[ff02::1]:4500", "172.16.1.1:4500"}) {
    peer.spec.gateways[0].endpoints = {*Endpoint::parse("192.0.2.2:4500"),
                                       *Endpoint::parse(endpoint)};
    EXPECT_NE(refusal(peer).find(endpoint), std::string::npos) << endpoint;
  }
}

TEST(PairAccept, NamesKeysThatAKnownClusterDidNotHave) {
  const auto known = *peer_of(kWest, {});
  EXPECT_TRUE(new_keys(known, known).empty());
  auto other = known;
  other.spec.gateways[1].public_key = key_number(99);
  ASSERT_EQ(new_keys(known, other).size(), 1U);
  EXPECT_EQ(new_keys(known, other)[0].ordinal, 1U);
  auto more = known;
  more.spec.gateways.push_back({2, key_number(98), {}});
  EXPECT_EQ(new_keys(known, more).size(), 1U) << "a further gateway is trusted, too";
  EXPECT_TRUE(new_keys(more, known).empty()) << "one less is no change of trust";
  const auto old =
      tunnel::fingerprint(*tunnel::Key::from_base64(known.spec.gateways[1].public_key));
  const auto fresh = tunnel::fingerprint(*tunnel::Key::from_base64(key_number(99)));
  const auto text = fingerprints_text(other, &known);
  EXPECT_NE(text.find("gateway west/1: was " + old + ", is now " + fresh), std::string::npos)
      << text;
  EXPECT_NE(fingerprints_text(more, &known).find("(new)"), std::string::npos);
  EXPECT_EQ(fingerprints_text(known).find("was"), std::string::npos);
}

TEST(Sharing, AddsRulesAndTakesNoneAway) {
  using Rules = std::vector<api::ImportRule>;
  EXPECT_EQ(imports_with(std::nullopt, {}), std::nullopt);
  EXPECT_EQ(imports_with(std::nullopt, {{{"data", "pg"}}, false}),
            (Rules{{"*", "*", false, false}, {"data", "pg", true, false}}));
  EXPECT_EQ(imports_with(Rules{}, {{{"data", "pg"}}, false}), (Rules{{"data", "pg", true, false}}))
      << "closed names stay closed";
  const Rules before{{"shop", "*", false, false}, {"data", "pg", true, false}};
  EXPECT_EQ(imports_with(before, {{{"data", "pg"}}, false}), before) << "twice changes nothing";
  EXPECT_EQ(imports_with(before, {{}, true})->size(), 3U);
  EXPECT_TRUE(imports_with(std::nullopt, {{}, true})->back().over_local);
}

TEST(Sharing, IsSaidInWords) {
  api::ClusterPeer::Spec spec;
  spec.cluster_id = "west";
  EXPECT_NE(imports_text(spec).find("does not export itself"), std::string::npos);
  spec.imports.emplace();
  EXPECT_EQ(imports_text(spec), "  imports: nothing\n");
  spec.imports = std::vector<api::ImportRule>{{"data", "pg", true, true}};
  EXPECT_EQ(imports_text(spec),
            "  imports: data/pg, also where this cluster exports the name itself: west serves a "
            "share of its clients, and follows its causeway.dev/ annotations\n");
}

TEST(PairAccept, TakesAnotherVersionOfTheSamePeer) {
  auto own = kEast;
  own.peers = {*peer_of(kWest, {})};
  EXPECT_EQ(refusal(*peer_of(kWest, {{*Prefix::parse("10.2.0.0/16")}, false}), own), "");
}

TEST(PairAccept, RefusesBadAndUsedKeys) {
  auto peer = *peer_of(kWest, {});
  peer.spec.gateways[1].public_key = "not a key";
  EXPECT_NE(refusal(peer).find("gateway west/1: \"not a key\" is not a WireGuard public key"),
            std::string::npos);
  peer.spec.gateways[1].public_key = key_number(0);
  EXPECT_NE(refusal(peer).find("not a WireGuard public key"), std::string::npos);
  peer.spec.gateways[1].public_key = peer.spec.gateways[0].public_key;
  EXPECT_EQ(refusal(peer), "gateway west/1 has the same key as gateway west/0");
  peer.spec.gateways[1].public_key = kEast.gateways[1].spec.public_key;
  EXPECT_EQ(refusal(peer), "gateway west/1 has the same key as this cluster's gateway 0");
  peer.spec.gateways[1] = peer.spec.gateways[0];
  EXPECT_EQ(refusal(peer), "gateway west/0 is listed twice");
}

TEST(PairAccept, RefusesAnotherNameThanTheClusters) {
  auto peer = *peer_of(kWest, {});
  peer.meta.key.name = "occident";
  EXPECT_EQ(refusal(peer), "the ClusterPeer is named occident but is cluster west");
}

TEST(PairAccept, RefusesASecretOfAnImpossibleName) {
  auto peer = *peer_of(kWest, {});
  peer.spec.preshared_key_secret = "../keys";
  EXPECT_NE(refusal(peer).find("presharedKeySecret"), std::string::npos);
}

}  // namespace
}  // namespace cw::cli
