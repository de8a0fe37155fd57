// Which nodes hold back which cluster's prefixes, and the text of `causewayctl status` about it.
#include "cli/closed.h"

#include <gtest/gtest.h>

namespace cw::cli {
namespace {

api::RouteAgent agent(const std::string& node, std::vector<std::string> closed) {
  api::RouteAgent one;
  one.meta.key.name = node;
  one.status.closed = std::move(closed);
  return one;
}
api::ClusterPeer peer(const std::string& id, bool unpaired) {
  api::ClusterPeer one;
  one.spec.cluster_id = id;
  one.spec.unpaired = unpaired;
  return one;
}

TEST(Closed, APairedClusterIsNoProblem) {
  const auto holders = holders_of({agent("n1", {"west"}), agent("n2", {"west"})});
  EXPECT_EQ(holders.at("west").size(), 2U);
  EXPECT_TRUE(closed_without_peer(holders, {peer("west", false)}).empty());
  // The cluster is paired again beside an object with the old mark.
  EXPECT_TRUE(closed_without_peer(holders, {peer("west", true), peer("west", false)}).empty());
}

TEST(Closed, AClusterWithoutClusterPeerIsToldWithTheRemedy) {
  const auto holders = holders_of({agent("n1", {"west", "north"}), agent("n2", {"north"})});
  const auto told = closed_without_peer(holders, {peer("north", true)});
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0],
            "cluster north: it is being unpaired, but 2 nodes hold back its prefixes (n1, n2): "
            "`causewayctl unpair north` opens them");
  EXPECT_EQ(told[1],
            "cluster west: no ClusterPeer names it, but 1 node holds back its prefixes (n1): "
            "`causewayctl unpair west` opens them");
}

TEST(Closed, ManyNodesAreNotListed) {
  std::vector<api::RouteAgent> agents;
  for (int n = 0; n < 9; ++n) agents.push_back(agent("n" + std::to_string(n), {"west"}));
  const auto told = closed_without_peer(holders_of(agents), {});
  EXPECT_NE(told.at(0).find("9 nodes hold back its prefixes (n0, ...)"), std::string::npos);
}

}  // namespace
}  // namespace cw::cli
