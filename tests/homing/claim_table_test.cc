#include "homing/claim_table.h"

#include <gtest/gtest.h>

#include "tests/homing/scene.h"

namespace cw::homing {
namespace {

const Prefix kPods = *Prefix::parse("10.1.0.0/24");
const Prefix kMore = *Prefix::parse("10.1.8.0/24");
const Prefix kOthers = *Prefix::parse("10.1.1.0/24");
const Share kOurs = share("n1");    // has kPods
const Share kSecond = share("n2");  // has kOthers
const Share kTheirs = share("n0");  // of west; ours have no such name
const ClaimKey kTheirKey{"west", kTheirs};
const ClaimTable::Nodes kOurNode{{"n1", Family::kV4}};
const GatewayId kWest0{"west", 0};
const GatewayId kWest1{"west", 1};

tunnel::Probe says(const std::string& cluster, const Share& share, std::uint32_t ordinal,
                   std::uint64_t epoch) {
  tunnel::Probe probe;
  put_claims({{{cluster, share}, {ordinal, epoch}, false}}, probe);
  return probe;
}

class Board : public testing::Test {
 protected:
  Board() { see({{"n1", {kPods}}, {"n2", {kOthers}}}); }
  void see(const std::map<std::string, std::vector<Prefix>>& nodes) {
    board_.set_world(nodes, {{"west", remote_cluster(2, 2, 4)}}, now_);
  }
  tunnel::Probe node(const tunnel::Probe& request, bool fresh = true,
                     const std::string& name = "n1") {
    tunnel::Probe reply;
    told_ = board_.from_node(name, {fresh, now_}, request, working_, reply);
    return reply;
  }
  tunnel::Probe remote(const tunnel::Probe& request, const GatewayId& from = kWest0,
                       bool fresh = true) {
    tunnel::Probe reply;
    changed_ = !board_.from_remote(from, {fresh, now_}, request, reply).empty();
    return reply;
  }
  // The remote gateway gets our claims and echoes them.
  void confirm(const GatewayId& id) {
    now_ += ClaimRelay::kAgain;
    tunnel::Probe request;
    board_.fill(id, now_, request);
    board_.hear(id, now_, request);
  }

  TimePoint now_{std::chrono::hours(1)};
  ClaimTable board_;
  std::set<GatewayId> working_{kWest0, kWest1};
  std::set<GatewayId> told_;
  bool changed_ = false;
};

TEST_F(Board, ANodesClaimIsSettledOnceEveryWorkingRemoteGatewayHasIt) {
  auto reply = node(says("west", kOurs, 1, 1));
  EXPECT_EQ(told_, (std::set<GatewayId>{kWest0, kWest1}));
  ASSERT_EQ(claims_of(reply).size(), 1U);
  EXPECT_FALSE(claims_of(reply)[0].settled);
  tunnel::Probe request;
  board_.fill(kWest0, now_, request);
  ASSERT_EQ(claims_of(request).size(), 1U);
  EXPECT_TRUE(claims_of(request)[0].key.cluster.empty())
      << "empty means the receiver's own cluster";
  confirm(kWest0);
  EXPECT_FALSE(claims_of(node(says("west", kOurs, 1, 1)))[0].settled);
  EXPECT_EQ(told_, std::set<GatewayId>{kWest1});
  confirm(kWest1);
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 1, 1)))[0].settled);
  EXPECT_TRUE(told_.empty());
}

// A gateway that takes over a thousand nodes gets a request of each of them within 230 ms.
TEST_F(Board, AThousandNodesAtOnceAreToldInAFewProbes) {
  std::map<std::string, std::vector<Prefix>> nodes;
  for (int n = 0; n < 1000; ++n) {
    nodes[fmt::format("n{}", n)] = {net(fmt::format("10.{}.{}.0/24", 64 + n / 256, n % 256))};
  }
  see(nodes);
  const auto all_ask = [&] {
    std::size_t probes = 0;
    for (const auto& [name, prefixes] : nodes) {
      (void)node(says("west", share(name), 0, 1), true, name);
      for (const auto& id : told_) {
        tunnel::Probe request;
        board_.fill(id, now_, request);
        ++probes;
      }
    }
    return probes;
  };
  EXPECT_LE(all_ask(), 2 * 1000U) << "each claim is said once";
  EXPECT_EQ(all_ask(), 0U) << "and not again before it can be answered";
  now_ += ClaimRelay::kAgain;
  EXPECT_EQ(all_ask(), 2U) << "then a probe full to each gateway";
}

TEST_F(Board, ARemoteGatewayThatDoesNotWorkIsNotWaitedFor) {
  working_ = {kWest0};
  (void)node(says("west", kOurs, 1, 1));
  confirm(kWest0);
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 1, 1)))[0].settled);
}

TEST_F(Board, ANewerClaimIsToldAgainAndAnOlderOneIsCorrected) {
  (void)node(says("west", kOurs, 0, 5));
  confirm(kWest0);
  confirm(kWest1);
  EXPECT_EQ(board_.carried_by(0), kOurNode);
  EXPECT_FALSE(claims_of(node(says("west", kOurs, 1, 6)))[0].settled);
  EXPECT_TRUE(board_.carried_by(0).empty());
  const auto reply = node(says("west", kOurs, 0, 2));
  EXPECT_EQ(claims_of(reply)[0].claim, (Claim{1, 6}));
}

TEST_F(Board, ANodeOfAnotherClusterIsNotClaimed) {
  EXPECT_TRUE(claims_of(node(says("west", kTheirs, 0, 1))).empty());
  EXPECT_TRUE(claims_of(node(says("north", kOurs, 0, 1))).empty());
  EXPECT_TRUE(claims_of(remote(says("", share("n9"), 0, 1))).empty());
  EXPECT_TRUE(claims_of(remote(says("", kTheirs, 7, 1))).empty()) << "no such gateway";
  EXPECT_TRUE(claims_of(remote(says("west", kTheirs, 0, 1))).empty());
  EXPECT_TRUE(claims_of(remote(says("", kTheirs, 0, 1), {"north", 0})).empty());
  EXPECT_TRUE(claims_of(remote(says("", kTheirs, 0, 1), {"west", 7})).empty()) << "no such gateway";
  EXPECT_TRUE(board_.remote().empty());
}

TEST_F(Board, TheRemoteClaimWithTheHighestEpochCounts) {
  EXPECT_EQ(claims_of(remote(says("", kTheirs, 1, 3))).at(0).claim, (Claim{1, 3}));
  EXPECT_TRUE(changed_);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest1);
  EXPECT_EQ(claims_of(remote(says("", kTheirs, 0, 2), kWest1)).at(0).claim, (Claim{1, 3}));
  EXPECT_FALSE(changed_);
  (void)remote(says("", kTheirs, 1, 4), kWest1);
  EXPECT_FALSE(changed_) << "the same gateway";
  (void)remote(says("", kTheirs, 0, 5), kWest1);
  EXPECT_TRUE(changed_);
  (void)remote(says("", kTheirs, 0, 1));
  EXPECT_FALSE(changed_) << "the other gateway's claim stands";
}

TEST_F(Board, AfterARestartTheRemoteSideRemembersForUs) {
  (void)node(says("west", kOurs, 0, 1));
  board_.hear(kWest0, now_, says("", kOurs, 1, 40));
  EXPECT_EQ(board_.carried_by(1), kOurNode) << "until the node outbids it";
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 1)))[0].claim, (Claim{1, 40}));
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 1)))[0].claim, (Claim{0, 1}))
      << "the higher claim is told once, until it is repeated";
  board_.hear(kWest0, now_, says("", kTheirs, 1, 40));  // never ours
  EXPECT_EQ(board_.claimed(), kOurNode);
}

TEST_F(Board, ANodeSpeaksForItselfOnly) {
  EXPECT_TRUE(claims_of(node(says("west", kSecond, 0, 9))).empty());
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 0, 9), true, "n2")).empty());
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 0, 9), true, "n3")).empty()) << "no such node";
  EXPECT_TRUE(board_.claimed().empty());
  (void)node(says("west", kSecond, 0, 9), true, "n2");
  EXPECT_EQ(board_.claimed(), (ClaimTable::Nodes{{"n2", Family::kV4}}));
}

TEST_F(Board, OnlyTheNewestWordOfASpeakerIsTaken) {
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 0, 9), false)).empty());
  EXPECT_TRUE(claims_of(remote(says("", kTheirs, 0, 9), kWest0, false)).empty());
  EXPECT_TRUE(board_.claimed().empty());
  EXPECT_TRUE(board_.remote().empty());
  (void)node(says("west", kOurs, 1, 3));
  (void)remote(says("", kTheirs, 1, 3));
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 9), false)).at(0).claim, (Claim{1, 3}))
      << "the answer to a replay has the held claim";
  EXPECT_EQ(claims_of(remote(says("", kTheirs, 0, 9), kWest0, false)).at(0).claim, (Claim{1, 3}));
}

TEST_F(Board, EpochsBeyondTheLimitAreRefusedFromEveryParty) {
  for (const auto epoch : {kMaxEpoch + 1, ~std::uint64_t{0}}) {
    EXPECT_TRUE(claims_of(node(says("west", kOurs, 0, epoch))).empty());
    EXPECT_TRUE(claims_of(remote(says("", kTheirs, 0, epoch))).empty());
    (void)node(says("west", kOurs, 0, 1));
    board_.hear(kWest0, now_, says("", kOurs, 1, epoch));
    EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 1))).at(0).claim, (Claim{0, 1}));
  }
  EXPECT_TRUE(board_.remote().empty());
}

TEST_F(Board, TheClaimOfANodeThatStartedAgainCountsAndItIsToldTheHeldOneOnce) {
  (void)node(says("west", kOurs, 1, kMaxEpoch));
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 1))).at(0).claim, (Claim{0, 1}))
      << "a full count cannot be outbid";
  EXPECT_EQ(board_.carried_by(0), kOurNode);
  (void)node(says("west", kOurs, 1, 40));
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 2))).at(0).claim, (Claim{1, 40}));
  EXPECT_EQ(claims_of(node(says("west", kOurs, 0, 41))).at(0).claim, (Claim{0, 41}));
}

// A block comes, another one goes and is the next node's: no claim changes.
TEST_F(Board, TheClaimOfANodeStaysWhileItsPrefixesComeAndGo) {
  (void)node(says("west", kOurs, 1, 5));
  confirm(kWest0);
  confirm(kWest1);
  see({{"n1", {kMore}}, {"n2", {kOthers, kPods}}});
  EXPECT_EQ(board_.claimed(), kOurNode);
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 1, 5))).at(0).settled);
  EXPECT_TRUE(told_.empty());
}

TEST_F(Board, ANodeWithoutPrefixesOfAFamilyClaimsNothingInIt) {
  const auto v6 = share("n1", Family::kV6);
  EXPECT_TRUE(claims_of(node(says("west", v6, 1, 5))).empty());
  see({{"n1", {kPods, net("fd01::/64")}}});
  EXPECT_EQ(claims_of(node(says("west", v6, 1, 5))).at(0).claim, (Claim{1, 5}));
  see({{"n1", {kPods}}});
  EXPECT_TRUE(board_.claimed().empty());
  EXPECT_TRUE(claims_of(remote(says("", share("n0", Family::kV6), 0, 1))).empty());
}

// An attacker had gateway west/0 and sent false claims. Now it is repaired, or gone.
TEST_F(Board, APoisonedClaimOfARemoteGatewayHeals) {
  (void)remote(says("", kTheirs, 0, 7), kWest1);
  (void)remote(says("", kTheirs, 1, kMaxEpoch), kWest0);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest1);
  (void)remote(says("", kTheirs, 0, 7), kWest0);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest0) << "its next claim replaces it";
  (void)remote(says("", kTheirs, 1, kMaxEpoch), kWest0);
  now_ += Words::kLife;
  (void)remote(says("", kTheirs, 0, 7), kWest1);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest0) << "or its silence";
}

// Gateway west/0 has the highest epoch from a node that does not reach it any more. The node's
// present claim comes through west/1.
TEST_F(Board, AWordThatTheNodeDoesNotRepeatDoesNotOutweighOneThatItDoes) {
  auto old = says("", kTheirs, 0, kMaxEpoch);
  (void)remote(old, kWest0);
  (void)remote(says("", kTheirs, 1, 1), kWest1);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest0);
  auto claims = claims_of(old);
  claims[0].old = true;
  put_claims(claims, old);
  (void)remote(old, kWest0);
  EXPECT_EQ(board_.remote().at(kTheirKey), kWest1);
}

TEST_F(Board, TellsWhichWordsTheNodeHasNotRepeatedForAMinute) {
  (void)node(says("west", kOurs, 0, 1));
  confirm(kWest0);
  const auto told_as_old = [&] {
    tunnel::Probe request;
    board_.fill(kWest0, now_, request);
    return claims_of(request).at(0).old;
  };
  EXPECT_FALSE(told_as_old());
  now_ += Words::kLife;
  EXPECT_TRUE(told_as_old());
  (void)node({}, false);
  EXPECT_TRUE(told_as_old()) << "a replay is no sign of the node";
  (void)node({});
  EXPECT_FALSE(told_as_old());
}

TEST_F(Board, OverruledClaimsAreNoNewsForEver) {
  std::map<std::string, std::vector<Prefix>> many{{"n2", {kPods}}};
  for (int n = 100; n < 200; ++n) {
    many[fmt::format("n{}", n)] = {net(fmt::format("10.0.{}.0/24", n))};
  }
  see(many);
  for (int n = 100; n < 200; ++n) {
    const auto name = fmt::format("n{}", n);
    (void)node(says("west", share(name), 0, 1), true, name);
    board_.hear(kWest0, now_, says("", share(name), 1, 2));  // its next claim, by another way
  }
  (void)node(says("west", kSecond, 0, 1), true, "n2");
  tunnel::Probe request;
  board_.fill(kWest0, now_, request);
  EXPECT_EQ(claims_of(request).at(0).key.share, kSecond) << "news go first";
}

TEST_F(Board, ARemoteGatewayThatStartedAgainIsToldAgain) {
  (void)node(says("west", kOurs, 0, 1));
  confirm(kWest0);
  confirm(kWest1);
  EXPECT_TRUE(claims_of(node(says("west", kOurs, 0, 1))).at(0).settled);
  board_.forget(kWest1);
  EXPECT_FALSE(claims_of(node(says("west", kOurs, 0, 1))).at(0).settled);
  EXPECT_EQ(told_, std::set<GatewayId>{kWest1});
}

TEST_F(Board, ForgetsUnpairedClustersAndTheirClaims) {
  (void)node(says("west", kOurs, 0, 1));
  (void)remote(says("", kTheirs, 0, 1));
  board_.set_world({{"n1", {kPods}}}, {}, now_);
  EXPECT_TRUE(board_.carried_by(0).empty());
  EXPECT_TRUE(board_.remote().empty());
}

}  // namespace
}  // namespace cw::homing
