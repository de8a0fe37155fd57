// Clusters that become peers of each other, all at once.
#include "cli/mesh.h"

#include <gtest/gtest.h>

#include "tests/cli/pair_scene.h"

namespace cw::cli {
namespace {

Member member(const OwnCluster& own) { return {"ctx-" + own.id, own, *offer_of(own, {})}; }

std::vector<Member> three() { return {member(kEast), member(kWest), member(cluster("north", 3))}; }

// The members as they are after the plan was written.
std::vector<Member> joined_members() {
  auto members = three();
  const auto plan = mesh_of(members, {});
  for (const auto& pairing : *plan) members[pairing.side].own.peers.push_back(pairing.wanted);
  return members;
}

std::string mesh_refusal(const std::vector<Member>& members, const MeshChoice& choice = {}) {
  const auto plan = mesh_of(members, choice);
  return plan ? "" : plan.error().text;
}

TEST(Mesh, EveryPairIsJoinedOnceAndOnBothSides) {
  const auto members = three();
  const auto plan = mesh_of(members, {});
  ASSERT_TRUE(plan) << plan.error().text;
  std::vector<std::pair<std::size_t, std::size_t>> written;
  for (const auto& pairing : *plan) {
    written.emplace_back(pairing.side, pairing.other);
    EXPECT_EQ(pairing.wanted.spec.cluster_id, members[pairing.other].own.id);
    EXPECT_EQ(pairing.known, nullptr);
  }
  EXPECT_EQ(written, (std::vector<std::pair<std::size_t, std::size_t>>{
                         {0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 2}, {2, 1}}))
      << "one pair after the other";
}

TEST(Mesh, JoinedOnceMoreItChangesNothing) {
  const auto members = joined_members();
  for (const bool refresh : {false, true}) {
    MeshChoice choice;
    choice.refresh = refresh;
    const auto plan = mesh_of(members, choice);
    ASSERT_TRUE(plan) << plan.error().text;
    for (const auto& pairing : *plan) {
      EXPECT_NE(pairing.known, nullptr);
      EXPECT_TRUE(pairing.changes.empty());
    }
  }
}

TEST(Mesh, AnOverlapOfAnyTwoClustersIsFoundBeforeAnythingIsWritten) {
  auto north = cluster("north", 3);
  north.pods = {*Prefix::parse("10.2.1.0/24")};
  EXPECT_EQ(mesh_refusal({member(kEast), member(kWest), member(north)}),
            "ctx-east: 10.2.1.0/24 of cluster west overlaps 10.2.1.0/24 of cluster north");
}

TEST(Mesh, APeerOutsideOfTheMeshCountsToo) {
  auto members = three();
  members[0].own.peers = {*peer_of(cluster("south", 4), {{*Prefix::parse("10.2.0.0/16")}, false})};
  EXPECT_EQ(mesh_refusal(members),
            "ctx-east: 10.2.0.0/24 of cluster west overlaps 10.2.0.0/16 of cluster south");
}

// West gave a range to north. East still knows the old state of both.
TEST(Mesh, ARangeThatWentFromOneClusterToAnotherIsNoOverlap) {
  auto members = joined_members();
  for (const auto& [at, range] :
       {std::pair<std::size_t, const char*>{1, "10.8.0.0/16"}, {2, "10.2.0.0/16"}}) {
    auto& own = members[at].own;
    own.pods.clear();
    own.ranges = {{*Prefix::parse(range)}, "settings", {}};
    members[at].offer = *offer_of(own, {});
  }
  const auto plan = mesh_of(members, {});
  ASSERT_TRUE(plan) << plan.error().text;
  EXPECT_EQ(plan->front().changes.front(), "10.8.0.0/16 is allowed now");
}

TEST(Mesh, TheSameClusterTwiceIsRefused) {
  EXPECT_EQ(mesh_refusal({member(kEast), member(kWest), member(kEast)}),
            "ctx-east and ctx-east are the same cluster, east");
}

TEST(Mesh, OnlyPeersAreRefreshed) {
  MeshChoice choice;
  choice.refresh = true;
  EXPECT_EQ(mesh_refusal(three(), choice),
            "west is not a peer of east: run `causewayctl pair ctx-east ctx-west` first");
}

TEST(Mesh, OtherKeysOfAKnownPeerAreNamed) {
  auto members = joined_members();
  EXPECT_TRUE(changed_keys(members).empty());
  members[2].own.gateways[0].spec.public_key = key_number(77);
  members[2].offer = *offer_of(members[2].own, {});
  EXPECT_EQ(changed_keys(members),
            (std::vector<std::pair<std::size_t, std::size_t>>{{0, 2}, {1, 2}}));
  EXPECT_TRUE(changed_keys(three()).empty()) << "a new peer has no other keys";
}

TEST(Mesh, SharedNamesAreOpenedOnEverySide) {
  MeshChoice choice;
  choice.sharing.names = {{"data", "pg"}};
  const auto members = joined_members();
  const auto plan = mesh_of(members, choice);
  ASSERT_TRUE(plan);
  for (const auto& pairing : *plan) {
    EXPECT_EQ(pairing.changes, (std::vector<std::string>{"the imports are other ones"}));
  }
}

}  // namespace
}  // namespace cw::cli
