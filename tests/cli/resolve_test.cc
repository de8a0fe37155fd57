// Which clusters and endpoints a name leads to, and why not to others.
#include "cli/resolve.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace cw::cli {
namespace {

api::ExportRecord record(const std::string& cluster,
                         std::vector<std::pair<std::string, bool>> hosts, int net) {
  api::ExportRecord r;
  r.cluster = cluster;
  r.service = {"data", "db"};
  int host = 1;
  for (const auto& [name, ready] : hosts) {
    const auto text = "10." + std::to_string(net) + ".0." + std::to_string(host++);
    r.endpoints.push_back({{*IpAddress::parse(text)}, name, "", ready});
  }
  return r;
}

class Resolve : public ::testing::Test {
 protected:
  void SetUp() override {
    in_.cluster = "east";
    in_.import.emplace();
    in_.import->spec.type = "Headless";
  }
  void remote(const std::string& cluster, std::vector<std::pair<std::string, bool>> hosts, int net,
              bool connected = true) {
    api::RemoteExport exported;
    exported.spec = record(cluster, std::move(hosts), net);
    in_.remote.push_back(exported);
    api::ClusterPeer peer;
    peer.meta.key.name = peer.spec.cluster_id = cluster;
    peer.status.connected = connected;
    in_.peers.push_back(peer);
  }
  Resolution found(std::string_view name = "db.data.svc.clusterset.local") {
    return resolve(*parse_name(name), in_);
  }
  ResolveInputs in_;
};

TEST(Name, IsReadInAllItsForms) {
  const Name service{{"data", "db"}, "", ""};
  EXPECT_EQ(*parse_name("db.data.svc.clusterset.local"), service);
  EXPECT_EQ(*parse_name("DB.Data.SVC.ClusterSet.Local."), service);
  EXPECT_EQ(*parse_name("data/db"), service);
  EXPECT_EQ(*parse_name("db-0.west.db.data.svc.clusterset.local"),
            (Name{{"data", "db"}, "west", "db-0"}));
}

TEST(Name, AnythingElseIsAProblem) {
  for (const auto* bad : {"", ".", "/", "db", "db.data", "data/", "/db", "a/b/c",
                          "db.data.svc.cluster.local", "west.db.data.svc.clusterset.local",
                          "a.b.c.db.data.svc.clusterset.local", "db..svc.clusterset.local",
                          "-x.data.svc.clusterset.local", "..db.data.svc.clusterset.local"}) {
    EXPECT_FALSE(parse_name(bad)) << bad;
  }
  EXPECT_FALSE(parse_name(std::string(100'000, 'a')));
}

TEST_F(Resolve, AllClustersThatExportItAnswer) {
  in_.own = record("east", {{"db-0", true}}, 1);
  remote("west", {{"db-0", true}, {"db-1", false}}, 2);
  const auto r = found();
  ASSERT_EQ(r.clusters.size(), 2U);
  EXPECT_EQ(r.clusters[0].state, "this cluster");
  EXPECT_TRUE(r.clusters[0].endpoints[0].answers);
  EXPECT_EQ(r.clusters[1].state, "connected");
  EXPECT_TRUE(r.clusters[1].endpoints[0].answers);
  EXPECT_EQ(r.clusters[1].endpoints[1].why_not, "not ready");
  EXPECT_TRUE(r.answers());
  EXPECT_TRUE(r.notes.empty());
}

TEST_F(Resolve, AStaleClusterGivesWayToFreshOnes) {
  remote("north", {{"db-0", true}}, 3, false);
  remote("west", {{"db-0", true}}, 2);
  const auto r = found();
  EXPECT_EQ(r.clusters[0].state, "stale: not connected");
  EXPECT_EQ(r.clusters[0].endpoints[0].why_not, "its cluster is stale and others are not");
  EXPECT_TRUE(r.clusters[1].endpoints[0].answers);
}

TEST_F(Resolve, SaysSinceWhenAClusterIsAwayAndAsksThePeerThatCounts) {
  remote("north", {{"db-0", true}}, 3, false);
  (void)api::set_condition(in_.peers[0].status.conditions,
                           {"Connected", api::ConditionStatus::kFalse, "NoTunnel", "m", 0, {}},
                           WallTime(std::chrono::seconds(1'700'000'000)));
  EXPECT_EQ(found().clusters[0].state, "stale: not connected since 2023-11-14T22:13:20Z");
  auto second = in_.peers[0];  // with the same id
  second.meta.key.name = "north-2";
  second.status = {};
  second.status.connected = true;
  in_.peers.push_back(second);
  EXPECT_EQ(found().clusters[0].state, "connected");
}

TEST_F(Resolve, SaysWhyAnEndpointIsNotImported) {
  in_.own = record("east", {{"db-0", true}}, 1);
  in_.exported = true;
  remote("west", {{"db-0", true}}, 2);
  remote("north", {{"db-0", true}}, 3);
  in_.peers[1].spec.imports = std::vector<api::ImportRule>{{"data", "db", true, false}};
  auto all = found();
  ASSERT_EQ(all.clusters.size(), 3U);
  EXPECT_TRUE(all.clusters[0].endpoints[0].answers);
  EXPECT_TRUE(all.clusters[1].endpoints[0].answers) << "north: opened";
  EXPECT_EQ(all.clusters[2].state,
            "not imported: this cluster exports it, and spec.imports of ClusterPeer west has no "
            "rule for it with overLocal");
  EXPECT_EQ(all.clusters[2].endpoints[0].why_not, "not imported");
  // Without the RemoteExports, the rules alone explain why there is no import.
  in_.remote.clear();
  in_.peers[0].spec.imports = std::vector<api::ImportRule>{};
  all = found();
  ASSERT_EQ(all.notes.size(), 1U);
  EXPECT_EQ(all.notes[0],
            "exports of cluster west are not imported: spec.imports of ClusterPeer west does not "
            "list it");
}

TEST_F(Resolve, SaysWhichClusterAnAnnotationChose) {
  in_.own = record("east", {{"db-0", true}}, 1);
  remote("west", {{"db-0", true}}, 2);
  in_.import->meta.annotations = {{"causeway.dev/failover", "west,east"}};
  auto r = found();
  EXPECT_EQ(r.clusters[0].endpoints[0].why_not,
            "causeway.dev/prefer or /failover chose another cluster");
  EXPECT_TRUE(r.clusters[1].endpoints[0].answers);
  EXPECT_TRUE(found("db-0.east.db.data.svc.clusterset.local").answers()) << "a pod's own name";
  in_.peers[0].status.connected = false;
  r = found();
  EXPECT_TRUE(r.clusters[0].endpoints[0].answers);
  EXPECT_TRUE(found("db-0.west.db.data.svc.clusterset.local").answers()) << "away, and named";
}

TEST_F(Resolve, PreferLocalKeepsConnectionsHereWhileAnEndpointIsReady) {
  in_.own = record("east", {{"db-0", true}}, 1);
  remote("west", {{"db-0", true}}, 2);
  in_.import->meta.annotations = {{"causeway.dev/prefer", "local"}};
  EXPECT_TRUE(found().clusters[0].endpoints[0].answers);
  EXPECT_EQ(found().clusters[1].endpoints[0].why_not,
            "causeway.dev/prefer or /failover chose another cluster");
  in_.own->endpoints[0].ready = false;
  EXPECT_EQ(found().clusters[0].endpoints[0].why_not, "not ready");
  EXPECT_TRUE(found().clusters[1].endpoints[0].answers);
}

// Its slices mark the endpoints of stale clusters as not ready, whatever the others are.
TEST_F(Resolve, AClusterSetIpRefusesIfAllAreStale) {
  in_.import->spec.type = "ClusterSetIP";
  in_.import->spec.ips = {"10.96.0.9"};
  remote("west", {{"db-0", true}}, 2, false);
  EXPECT_FALSE(found().answers());
  EXPECT_EQ(found().clusters[0].endpoints[0].why_not, "its cluster is stale");
  in_.peers[0].status.connected = true;
  EXPECT_TRUE(found().answers());
}

TEST_F(Resolve, APodThatTerminatesAnswersWhileNoneIsReady) {
  in_.own = record("east", {{"10-1-0-1", false}}, 1);
  auto& pod = in_.own->endpoints[0];
  pod.terminating = true;
  pod.pod = "web-x2";
  EXPECT_TRUE(found("web-x2.east.db.data.svc.clusterset.local").answers());
  EXPECT_TRUE(found().answers());
  remote("west", {{"db-0", true}}, 2);
  EXPECT_EQ(found().clusters[0].endpoints[0].why_not, "it terminates, and others are ready");
}

TEST_F(Resolve, IfAllAreStaleTheyAnswer) {
  remote("west", {{"db-0", true}}, 2, false);
  EXPECT_TRUE(found().answers());
}

TEST_F(Resolve, AFormerPeersExportsAreNotImported) {
  remote("west", {{"db-0", true}}, 2);
  in_.peers[0].spec.unpaired = true;
  EXPECT_FALSE(found().answers());
  in_.peers.clear();
  EXPECT_EQ(found().clusters[0].state, "not imported: no longer a peer");
  EXPECT_FALSE(found().answers());
}

TEST_F(Resolve, AConnectedClusterWithoutReadyEndpointsHidesNoAwayOne) {
  remote("north", {{"db-0", true}}, 3, false);
  remote("west", {{"db-0", false}}, 2);
  EXPECT_TRUE(found().clusters[0].endpoints[0].answers);
}

TEST_F(Resolve, APodsNameLeadsToThatPodOnly) {
  remote("north", {{"db-0", true}}, 3);
  remote("west", {{"db-0", true}, {"db-1", true}}, 2);
  const auto r = found("db-1.west.db.data.svc.clusterset.local");
  ASSERT_EQ(r.clusters.size(), 1U);
  ASSERT_EQ(r.clusters[0].endpoints.size(), 1U);
  EXPECT_EQ(r.clusters[0].endpoints[0].addresses[0].to_string(), "10.2.0.2");
  const auto none = found("db-9.west.db.data.svc.clusterset.local");
  EXPECT_FALSE(none.answers());
  EXPECT_EQ(none.notes, (std::vector<std::string>{"no endpoint has the name db-9"}));
}

TEST_F(Resolve, OnlyHeadlessServicesHavePodNames) {
  in_.import->spec.type = "ClusterSetIP";
  in_.import->spec.ips = {"10.96.0.9"};
  remote("west", {{"db-0", true}}, 2);
  EXPECT_TRUE(found().answers());
  EXPECT_FALSE(found("db-0.west.db.data.svc.clusterset.local").answers());
}

TEST_F(Resolve, ANameWithoutExportsSaysSo) {
  in_.import.reset();
  EXPECT_EQ(found().notes, (std::vector<std::string>{"no cluster exports it"}));
  EXPECT_EQ(found("a.west.db.data.svc.clusterset.local").notes,
            (std::vector<std::string>{"cluster west does not export it"}));
  in_.own_problem = "there is no Service data/db";
  EXPECT_EQ(found().notes[0], "export of this cluster: there is no Service data/db");
  EXPECT_FALSE(found().answers());
}

TEST_F(Resolve, AnExportThatDiscoveryHasNotTakenUpSaysSo) {
  in_.import.reset();
  remote("west", {{"db-0", true}}, 2);
  EXPECT_NE(found().notes.at(0).find("causeway-discovery"), std::string::npos);
}

TEST_F(Resolve, IsPrinted) {
  in_.own = record("east", {{"db-0", false}}, 1);
  remote("west", {{"db-0", true}}, 2);
  EXPECT_EQ(resolution_text(found(), false),
            "db.data.svc.clusterset.local (Headless)\n"
            "\n"
            "CLUSTER  STATE         ENDPOINT  ADDRESSES  ANSWERS\n"
            "east     this cluster  db-0      10.1.0.1   no: not ready\n"
            "west     connected     db-0      10.2.0.1   yes\n");
  const auto tree = resolution_tree(found());
  EXPECT_EQ(tree.at("answers"), true);
  EXPECT_EQ(tree.at("clusters").at(0).at("endpoints").at(0).at("why"), "not ready");
}

}  // namespace
}  // namespace cw::cli
