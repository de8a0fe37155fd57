#include "homing/place.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/homing/scene.h"

namespace cw::homing {
namespace {

using Clusters = std::map<std::string, RemoteCluster>;

std::set<GatewayId> all_of(const Clusters& clusters) {
  std::set<GatewayId> ids;
  for (const auto& [cluster, remote] : clusters) {
    for (const auto& [ordinal, gateway] : remote.gateways) ids.insert({cluster, ordinal});
  }
  return ids;
}

unsigned below(std::mt19937& dice, unsigned end) { return static_cast<unsigned>(dice() % end); }

TEST(Placement, PutsAGatewaysOwnPrefixesAtItself) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const auto placement = placement_of(clusters, {all_of(clusters), {}}, {});
  EXPECT_EQ(placement.size(), 4U);
  EXPECT_EQ(placement.at(net("10.2.0.0/24")), (GatewayId{"west", 0}));
  EXPECT_EQ(placement.at(net("10.2.1.0/24")), (GatewayId{"west", 1}));
}

TEST(Placement, MovesOnlyWhatTheLostGatewayCarried) {
  const Clusters clusters{{"west", remote_cluster(2, 3, 30)}, {"north", remote_cluster(3, 2, 10)}};
  const auto before = placement_of(clusters, {all_of(clusters), {}}, {});
  auto left = all_of(clusters);
  left.erase({"west", 1});
  const auto after = placement_of(clusters, {left, {}, {}}, before);
  for (const auto& [prefix, owner] : before) {
    if (owner == GatewayId{"west", 1}) {
      EXPECT_NE(after.at(prefix), owner);
    } else {
      EXPECT_EQ(after.at(prefix), owner) << prefix.to_string();
    }
  }
  std::size_t moved = 0;
  for (const auto& [owner, prefixes] : moves(before, after)) moved += prefixes.size();
  EXPECT_EQ(moved, static_cast<std::size_t>(
                       std::count_if(before.begin(), before.end(), [](const auto& one) {
                         return one.second == GatewayId{"west", 1};
                       })));
}

// So a gateway computes it only after a change: with 5,000 prefixes it takes milliseconds.
TEST(Placement, OfAPlacementIsTheSameAgain) {
  std::mt19937 dice(7);
  Placement before;
  for (int round = 0; round < 300; ++round) {
    const Clusters clusters{{"west", remote_cluster(2, 1 + below(dice, 4), 12)},
                            {"north", remote_cluster(3, 1, 5)}};
    Standings standings;
    for (const auto& id : all_of(clusters)) {
      if (below(dice, 2) == 0) standings.working.insert(id);
      if (below(dice, 3) == 0) standings.draining.insert(id);
      if (below(dice, 3) == 0) standings.claimed[{"west", share("n1")}] = id;
    }
    const auto once = placement_of(clusters, standings, before);
    EXPECT_EQ(placement_of(clusters, standings, once), once) << round;
    EXPECT_EQ(once.size(), 17U);
    before = once;
  }
}

// The most that a peer may announce.
TEST(Placement, OfTheMostNodesPrefixesAndGatewaysCostsLittle) {
  RemoteCluster west;
  for (unsigned n = 0; n < 10'000; ++n) {
    west.cidrs.push_back(net(fmt::format("10.2.{}.{}/32", n / 250, n % 250)));
    west.nodes[node_name(n / 2)].push_back(west.cidrs.back());
  }
  for (unsigned n = 0; n < 64; ++n) west.gateways[n].node = node_name(n);
  const Clusters clusters{{"west", west}};
  const auto began = std::chrono::steady_clock::now();
  const auto placement = placement_of(clusters, {all_of(clusters), {}}, {});
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(15));
  EXPECT_EQ(placement.size(), 10'000U);
}

TEST(ExplainedMoves, NameTheReasonAndCountWhatMovesTogether) {
  const GatewayId zero{"west", 0};
  const GatewayId one{"west", 1};
  const auto prefix = [](int n) { return net("10.2." + std::to_string(n) + ".0/24"); };
  RemoteCluster west;
  west.nodes = {{"n0", {prefix(0), prefix(1)}}, {"n1", {prefix(2), prefix(3)}}};
  west.gateways = {{0, {}}, {1, {}}};
  const auto homes = homes_of({{"west", west}});
  const Placement before{{prefix(0), zero}, {prefix(1), zero}, {prefix(2), zero}, {prefix(3), one}};
  const Placement after{{prefix(0), one}, {prefix(1), one}, {prefix(2), zero}, {prefix(3), one}};
  const auto why = [&](const Standings& now) {
    const auto moves = explained_moves(before, after, now, homes);
    EXPECT_EQ(moves.size(), 1U);
    EXPECT_EQ(moves.at(0).from, zero);
    EXPECT_EQ(moves.at(0).to, one);
    EXPECT_EQ(moves.at(0).prefixes, 2U);
    return std::pair(moves.at(0).reason, moves.at(0).broke);
  };
  EXPECT_EQ(why({{one}, {}}), std::pair(std::string("the tunnel to west/0 does not work"), true));
  EXPECT_EQ(why({{zero, one}, {zero}}), std::pair(std::string("west/0 is draining"), false));
  EXPECT_EQ(why({{zero, one}, {}, {{{"west", share("n0")}, one}}}),
            std::pair(std::string("its nodes chose west/1"), false));
  EXPECT_EQ(why({{zero, one}, {}}), std::pair(std::string("home at west/1"), false));
  EXPECT_TRUE(explained_moves(after, after, {}, homes).empty());
}

TEST(Placement, AClaimedGatewayGetsThePrefixIfItWorks) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const auto prefix = net("10.2.0.0/24");
  const GatewayId zero{"west", 0};
  const GatewayId one{"west", 1};
  const auto at = [&](const Standings& now) { return placement_of(clusters, now, {}).at(prefix); };
  const ClaimKey key{"west", share("n0")};
  EXPECT_EQ(at({{one}, {}, {{key, zero}}}), one) << "nothing comes of it";
  EXPECT_EQ(at({{zero, one}, {}, {{key, zero}}}), zero);
  EXPECT_EQ(at({{zero, one}, {}, {{key, one}}}), one);
}

// n0 is at gateway 1 by its claim, n1 at gateway 0.
TEST(Placement, EveryPrefixFollowsItsNodeAlsoOneInsideAnothersBlock) {
  auto west = remote_cluster(2, 2, 2);
  const GatewayId zero{"west", 0};
  const GatewayId one{"west", 1};
  const Standings standings{
      {zero, one}, {}, {{{"west", share("n0")}, one}, {{"west", share("n1")}, zero}}};
  const auto at = [&](const char* prefix) {
    return placement_of({{"west", west}}, standings, {}).at(net(prefix));
  };
  for (int n = 0; n < 20; ++n)
    west.nodes["n0"].push_back(net(fmt::format("10.2.100.{}/29", n * 8)));
  for (int n = 0; n < 20; ++n) EXPECT_EQ(at(fmt::format("10.2.100.{}/29", n * 8).c_str()), one);
  west.nodes["n1"].push_back(net("10.2.0.7/32"));  // borrowed of n0's block
  EXPECT_EQ(at("10.2.0.0/24"), one);
  EXPECT_EQ(at("10.2.0.7/32"), zero);
  std::swap(west.nodes["n0"], west.nodes["n1"]);  // blocks that move
  EXPECT_EQ(at("10.2.0.0/24"), zero);
  EXPECT_EQ(at("10.2.100.8/29"), zero);
  EXPECT_EQ(at("10.2.1.0/24"), one);
}

TEST(Placement, ADrainingGatewayCarriesOnlyIfNoOtherCan) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const std::set<GatewayId> draining{{"west", 0}};
  for (const auto& [prefix, owner] : placement_of(clusters, {all_of(clusters), draining}, {})) {
    EXPECT_EQ(owner.ordinal, 1U);
  }
  for (const auto& [prefix, owner] : placement_of(clusters, {{{"west", 0}}, draining}, {})) {
    EXPECT_EQ(owner.ordinal, 0U);
  }
}

TEST(Placement, WhereNoGatewayWorksItStaysWhereItWas) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const auto homes = placement_of(clusters, {all_of(clusters), {}}, {});
  EXPECT_EQ(placement_of(clusters, {}, {}), homes);  // at the start: the first of the order
  const auto one = placement_of(clusters, {{{"west", 1}}, {}}, homes);
  EXPECT_EQ(placement_of(clusters, {}, one), one);
}

TEST(Placement, AGatewayThatCameBackGetsItsPrefixesBackAtOnce) {
  const Clusters clusters{{"west", remote_cluster(2, 2, 4)}};
  const auto homes = placement_of(clusters, {all_of(clusters), {}}, {});
  const auto without = placement_of(clusters, {{{"west", 1}}, {}}, homes);
  EXPECT_NE(without, homes);
  EXPECT_EQ(placement_of(clusters, {all_of(clusters), {}}, without), homes);
}

TEST(Placement, AClusterWithoutGatewaysHasNoHomes) {
  Clusters clusters{{"west", remote_cluster(2, 1, 4)}};
  clusters["west"].gateways.clear();
  EXPECT_TRUE(placement_of(clusters, {}, {}).empty());
}

// The other side's nodes choose by home_of() among its gateways. Both sides must name the same
// gateway, or WireGuard drops packets from the wrong peer.
TEST(Placement, BothSidesNameTheSameHome) {
  std::mt19937 dice(5);
  for (int round = 0; round < 200; ++round) {
    const unsigned gateways = 1 + below(dice, 4);
    const Clusters clusters{{"west", remote_cluster(2, gateways, gateways + below(dice, 20))}};
    std::set<GatewayId> usable;
    std::set<GatewayId> draining;
    std::vector<homing::GatewayView> theirs;
    for (const auto& [ordinal, gateway] : clusters.at("west").gateways) {
      const bool works = dice() % 4 != 0;
      const bool leaves = dice() % 4 == 0;
      if (works) usable.insert({"west", ordinal});
      if (leaves) draining.insert({"west", ordinal});
      theirs.push_back({ordinal, works, leaves, gateway.node});
    }
    if (usable.empty()) continue;
    std::shuffle(theirs.begin(), theirs.end(), dice);
    const auto placement = placement_of(clusters, {usable, draining}, {});
    for (const auto& [node, prefixes] : clusters.at("west").nodes) {
      EXPECT_EQ(home_of({"west", node}, theirs), placement.at(prefixes[0]).ordinal) << node;
    }
  }
}

}  // namespace
}  // namespace cw::homing
