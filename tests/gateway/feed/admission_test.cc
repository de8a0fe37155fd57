#include "gateway/feed/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/fake/sim_loop.h"

namespace cw::gateway {
namespace {

std::vector<Prefix> prefixes(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> list;
  for (const auto text : texts) list.push_back(*Prefix::parse(text));
  return list;
}

WallTime day(int n) { return WallTime(std::chrono::hours(24 * n)); }

PrefixRequest claim(std::string cluster, int paired,
                    std::initializer_list<std::string_view> claimed,
                    std::initializer_list<std::string_view> held = {}) {
  return {std::move(cluster), day(paired), prefixes({"10.0.0.0/8", "fd00::/16"}), prefixes(claimed),
          prefixes(held)};
}

// "10.1.0.0/16 !OverlapsLocal": the accepted prefixes, and the reasons of refusals.
std::string text(const AcceptedRequest& accepted) {
  std::string out;
  for (const auto& cidr : accepted.cidrs) out += (out.empty() ? "" : " ") + cidr.to_string();
  for (const auto& refusal : accepted.refusals) {
    out += (out.empty() ? "!" : " !") + std::string(reason_name(refusal.reason));
  }
  return out;
}

using Texts = std::map<std::string, std::string>;

Texts judged(const std::vector<PrefixRequest>& claims,
             std::initializer_list<std::string_view> local = {}) {
  Texts out;
  for (const auto& [cluster, accepted] : accepted_requests(claims, prefixes(local))) {
    out[cluster] = text(accepted);
  }
  return out;
}

TEST(Claims, WithinWhatIsAllowedAreAccepted) {
  EXPECT_EQ(judged({claim("east", 1, {"10.2.0.0/16", "10.1.0.0/16", "fd00:1::/32"})}),
            (Texts{{"east", "10.1.0.0/16 10.2.0.0/16 fd00:1::/32"}}));
}

TEST(Claims, OutsideWhatIsAllowedAreRefusedAndTheRestKept) {
  const auto accepted = accepted_requests(
      std::vector{claim("east", 1, {"10.1.0.0/16", "192.168.0.0/16", "0.0.0.0/0"})}, {});
  EXPECT_EQ(text(accepted.at("east")), "10.1.0.0/16 !OutsideAllowed !OutsideAllowed");
  EXPECT_EQ(accepted.at("east").refusals[1].message,
            "192.168.0.0/16 is not within the allowed CIDRs");
}

// If a tunnel's outer packets are routed into a tunnel, it is dead, and so is the way back.
TEST(Claims, ThatHoldTheEndpointOfAGatewayAreRefused) {
  auto east = claim("east", 1, {"10.1.0.0/16", "10.99.0.0/26"});
  east.said_endpoints = {*IpAddress::parse("10.99.0.10")};
  auto west = claim("west", 2, {"10.2.0.0/16", "10.1.0.0/16"});
  west.paired_endpoints = {*IpAddress::parse("10.2.0.7")};
  EXPECT_EQ(judged({east, west}), (Texts{{"east", "10.1.0.0/16 !HoldsEndpoint"},
                                         {"west", "!HoldsEndpoint !OverlapsCluster"}}));
  const auto told = accepted_requests(std::vector{east}, {}).at("east").refusals;
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].message.find("10.99.0.0/26 contains 10.99.0.10"), std::string::npos);
  // A cluster's statement about its own gateways takes nothing away from another cluster.
  west = claim("west", 2, {"10.2.0.0/16"});
  west.said_endpoints = {*IpAddress::parse("10.1.0.7")};
  EXPECT_EQ(judged({claim("east", 1, {"10.1.0.0/16"}), west}),
            (Texts{{"east", "10.1.0.0/16"}, {"west", "10.2.0.0/16"}}));
}

TEST(Claims, OverlappingTheLocalClusterAreRefusedInBothDirections) {
  EXPECT_EQ(judged({claim("east", 1, {"10.1.0.0/16", "10.4.0.0/14", "10.9.9.0/24"})},
                   {"10.5.0.0/16", "10.9.0.0/16"}),
            (Texts{{"east", "10.1.0.0/16 !OverlapsLocal !OverlapsLocal"}}));
}

// The administrator may have allowed such a prefix, because the peer's own file named it.
TEST(Claims, APrefixThatNoPeerCanHaveIsRefusedThoughItIsAllowed) {
  auto wide =
      claim("east", 1,
            {"10.1.0.0/16", "10.96.0.0/12", "169.254.169.254/32", "127.0.0.0/8", "224.0.0.0/4",
             "240.0.0.0/4", "192.0.0.0/2", "192.0.2.10/32", "fe80::/64", "ff00::/8"});
  wide.allowed = prefixes({"0.0.0.0/0", "::/0"});
  const std::vector<OwnPrefixes> own = {{"nodes", PrefixSet(prefixes({"192.0.2.10/32"}))},
                                        {"Services", PrefixSet(prefixes({"10.96.0.1/32"}))}};
  const auto accepted = accepted_requests(std::vector{wide}, {}, own).at("east");
  EXPECT_EQ(accepted.cidrs, prefixes({"10.1.0.0/16"}));
  ASSERT_EQ(accepted.refusals.size(), 9U);
  for (const auto& refusal : accepted.refusals) {
    EXPECT_EQ(refusal.reason, RefusalReason::kNeverAPeers) << refusal.message;
  }
  EXPECT_EQ(accepted.refusals[0].message, "10.96.0.0/12 overlaps 10.96.0.1/32 (Services)");
}

TEST(Claims, OverlapIsWonByTheOlderPeerThenTheLowerId) {
  EXPECT_EQ(judged({claim("a", 2, {"10.1.0.0/16"}), claim("b", 1, {"10.1.2.0/24"})}),
            (Texts{{"a", "!OverlapsCluster"}, {"b", "10.1.2.0/24"}}));
  EXPECT_EQ(judged({claim("b", 1, {"10.1.0.0/16"}), claim("a", 1, {"10.0.0.0/12"})}),
            (Texts{{"a", "10.0.0.0/12"}, {"b", "!OverlapsCluster"}}));
}

TEST(Claims, AnAcceptedClaimStays) {
  EXPECT_EQ(judged({claim("young", 9, {"10.1.0.0/16"}, {"10.1.0.0/16"}),
                    claim("old", 1, {"10.0.0.0/12", "10.32.0.0/16"})}),
            (Texts{{"young", "10.1.0.0/16"}, {"old", "10.32.0.0/16 !OverlapsCluster"}}));
  // Both claims were accepted before. Only the older ClusterPeer can be right.
  EXPECT_EQ(judged({claim("young", 9, {"10.1.0.0/16"}, {"10.1.0.0/16"}),
                    claim("old", 1, {"10.1.0.0/16"}, {"10.1.0.0/16"})}),
            (Texts{{"young", "!OverlapsCluster"}, {"old", "10.1.0.0/16"}}));
  // A prefix that is held but no longer claimed is free again.
  EXPECT_EQ(judged({claim("young", 9, {}, {"10.1.0.0/16"}), claim("old", 1, {"10.1.0.0/16"})}),
            (Texts{{"young", ""}, {"old", "10.1.0.0/16"}}));
}

TEST(Claims, AClusterMayNestItsOwnPrefixes) {
  EXPECT_EQ(
      judged({claim("east", 1, {"10.1.0.0/16", "10.1.2.0/24", "10.1.0.0/16"}, {"10.1.2.0/24"}),
              claim("west", 2, {"10.1.3.0/24", "10.0.0.0/15"})}),
      (Texts{{"east", "10.1.0.0/16 10.1.2.0/24"}, {"west", "!OverlapsCluster !OverlapsCluster"}}));
}

// Random claims of four clusters over the same few addresses.
std::vector<PrefixRequest> random_claims(Random& random, std::vector<Prefix>& local) {
  const auto draw = [&random](std::vector<Prefix>& into, std::uint64_t most) {
    for (auto n = random.next() % (most + 1); n > 0; --n) {
      const auto bits = random.next();
      into.push_back(*Prefix::of(IpAddress::v4({10, static_cast<std::uint8_t>(bits & 7U),
                                                static_cast<std::uint8_t>(bits >> 8U), 0}),
                                 static_cast<unsigned>(11 + (bits >> 16U) % 14)));
    }
  };
  draw(local, 2);
  std::vector<PrefixRequest> claims;
  for (int i = 0; i < 4; ++i) {
    PrefixRequest one{
        "c" + std::to_string(i), day(static_cast<int>(random.next() % 3)), {}, {}, {}};
    draw(one.allowed, 3);
    one.allowed.push_back(*Prefix::parse("10.0.0.0/13"));
    draw(one.claimed, 6);
    one.held_before = one.claimed;
    if (!one.held_before.empty()) one.held_before.resize(random.next() % one.claimed.size());
    claims.push_back(std::move(one));
  }
  return claims;
}

TEST(Claims, HoldTheirLawsWhateverTheOrder) {
  SeededRandom random(11);
  for (int round = 0; round < 300; ++round) {
    std::vector<Prefix> local;
    auto claims = random_claims(random, local);
    const auto accepted = accepted_requests(claims, local);
    for (const auto& a : claims) {
      const auto& mine = accepted.at(a.cluster);
      const std::set<Prefix> distinct(a.claimed.begin(), a.claimed.end());
      EXPECT_EQ(mine.cidrs.size() + mine.refusals.size(), distinct.size());
      for (const auto& cidr : mine.cidrs) {
        EXPECT_TRUE(PrefixSet(a.allowed).covering(cidr).has_value());
        EXPECT_FALSE(PrefixSet(local).overlapping(cidr).has_value());
        for (const auto& b : claims) {
          if (a.cluster == b.cluster) continue;
          EXPECT_FALSE(PrefixSet(accepted.at(b.cluster).cidrs).overlapping(cidr).has_value());
        }
      }
    }
    std::reverse(claims.begin(), claims.end());
    std::swap(claims[0], claims[2]);
    EXPECT_EQ(accepted_requests(claims, local), accepted);
    // The accepted claims, held now, are accepted again.
    for (auto& one : claims) one.held_before = accepted.at(one.cluster).cidrs;
    const auto again = accepted_requests(claims, local);
    for (const auto& [cluster, result] : accepted) EXPECT_EQ(again.at(cluster).cidrs, result.cidrs);
  }
}

api::ClusterPeer::Spec peer() {
  api::ClusterPeer::Spec spec;
  spec.cluster_id = "east";
  spec.gateways = {{0, "key-0", {}}, {1, "key-1", {}}};
  return spec;
}

TEST(Gateways, PairedOnesAreTaken) {
  Announcement announcement{"east", {}, {}};
  const auto endpoint = *Endpoint::parse("192.0.2.1:4500");
  announcement.gateways.push_back({1, "key-1", {endpoint}, true, "worker-1"});
  announcement.gateways.push_back({0, "key-0", {}, false, ""});
  const auto accepted = accepted_gateways(announcement, peer());
  EXPECT_TRUE(accepted.refusals.empty());
  ASSERT_EQ(accepted.gateways.size(), 2U);
  EXPECT_EQ(accepted.gateways[0].gateway.ordinal, 0U);
  const api::LearnedGateway want{{1, "key-1", {endpoint}}, true, "worker-1"};
  EXPECT_EQ(accepted.gateways[1], want);
}

TEST(Nodes, HaveThePrefixesThatTheClusterIsAllowed) {
  const NodePrefixes said{{"", prefixes({"10.1.9.0/24"})},
                          {"a", prefixes({"10.1.1.0/24", "172.16.0.0/12", "10.1.2.7/32"})},
                          {"b", prefixes({"10.1.2.0/24"})},
                          {"c", prefixes({"172.17.0.0/16"})}};
  const NodePrefixes want{{"", prefixes({"10.1.9.0/24"})},
                          {"a", prefixes({"10.1.1.0/24", "10.1.2.7/32"})},
                          {"b", prefixes({"10.1.2.0/24"})}};
  const auto accepted = prefixes({"10.1.1.0/24", "10.1.2.0/24", "10.1.2.7/32", "10.1.9.0/24"});
  EXPECT_EQ(accepted_nodes(said, accepted), want);
  EXPECT_TRUE(accepted_nodes(said, {}).empty());
}

TEST(Gateways, KeysComeFromPairingOnly) {
  Announcement announcement{"east", {}, {}};
  announcement.gateways = {
      {0, "forged", {}, false, ""}, {1, "key-1", {}, false, ""}, {2, "key-2", {}, false, ""}};
  const auto accepted = accepted_gateways(announcement, peer());
  ASSERT_EQ(accepted.gateways.size(), 1U);
  EXPECT_EQ(accepted.gateways[0].gateway.ordinal, 1U);
  ASSERT_EQ(accepted.refusals.size(), 2U);
  EXPECT_EQ(accepted.refusals[0].reason, RefusalReason::kUnknownGateway);
  EXPECT_EQ(accepted.refusals[0].message, "gateway 0 has another key than the ClusterPeer lists");
  EXPECT_EQ(accepted.refusals[1].message, "gateway 2 is not in the ClusterPeer");
  EXPECT_EQ(accepted.refusals[1].subject, RefusalSubject(std::uint32_t{2}));
}

TEST(Gateways, NoClusterAnnouncesAnother) {
  Announcement announcement{"west", {}, {{0, "key-0", {}, false, ""}}};
  const auto accepted = accepted_gateways(announcement, peer());
  EXPECT_TRUE(accepted.gateways.empty());
  ASSERT_EQ(accepted.refusals.size(), 1U);
  EXPECT_EQ(accepted.refusals[0].reason, RefusalReason::kOtherCluster);
  EXPECT_EQ(accepted.refusals[0].message, "cluster east sent an announcement about cluster west");
}

TEST(Exports, LoseTheEndpointsOutsideAndSaySo) {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", "db"};
  for (const auto* address : {"10.1.0.1", "10.2.0.1", "10.1.0.2", "10.2.0.0"}) {
    record.endpoints.push_back({{*IpAddress::parse(address)}, "h", "", true});
  }
  // One good address does not excuse a bad one.
  record.endpoints.push_back(
      {{*IpAddress::parse("10.1.0.3"), *IpAddress::parse("8.8.8.8")}, "h", "", true});
  const PrefixSet cidrs(prefixes({"10.1.0.0/16"}));
  const auto accepted = accepted_export(record, cidrs);
  EXPECT_EQ(accepted.record.endpoints.size(), 2U);
  ASSERT_TRUE(accepted.refusal.has_value());
  EXPECT_EQ(accepted.refusal->subject, RefusalSubject(api::ObjectKey{"shop", "db"}));
  EXPECT_EQ(accepted.refusal->message,
            "3 endpoint(s) of export shop/db are outside the accepted CIDRs (8.8.8.8)");
  const auto again = accepted_export(accepted.record, cidrs);
  EXPECT_EQ(again.record, accepted.record);
  EXPECT_FALSE(again.refusal.has_value());
}

TEST(ClaimsCondition, NamesTheFirstReasonAndEveryRefusalUpToTwenty) {
  EXPECT_EQ(claims_condition({}).status, api::ConditionStatus::kTrue);
  EXPECT_EQ(claims_condition({}).reason, "Accepted");
  std::vector<Refusal> refusals = {{RefusalReason::kOverlapsLocal, "one"},
                                   {RefusalReason::kTooLarge, "two"}};
  const auto condition = claims_condition(refusals);
  EXPECT_EQ(condition.type, "ClaimsAccepted");
  EXPECT_EQ(condition.status, api::ConditionStatus::kFalse);
  EXPECT_EQ(condition.reason, "OverlapsLocal");
  EXPECT_EQ(condition.message, "one; two");
  EXPECT_EQ(claims_condition(std::vector<Refusal>{{RefusalReason::kUnknownGateway, "one"}}).message,
            "one. If the cluster grew, bring the pairing up to date: `causewayctl pair --refresh`");
  refusals.resize(25, {RefusalReason::kInvalid, "x"});
  EXPECT_NE(claims_condition(refusals).message.find("; and 5 more"), std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
