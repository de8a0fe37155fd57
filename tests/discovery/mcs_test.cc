// Merging and conditions by KEP-1645. The numbers are those of docs/protocol/dns.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "discovery/coordinator.h"

namespace cw::discovery {
namespace {

using api::ConditionStatus;

std::shared_ptr<api::ExportRecord> record(const std::string& cluster, int created) {
  auto out = std::make_shared<api::ExportRecord>();
  out->cluster = cluster;
  out->service = {"db", "pg"};
  out->exported_at = WallTime(std::chrono::seconds(created));
  out->ports = {{"sql", "TCP", "", 5432, ""}};
  out->ip_families = {"IPv4"};
  return out;
}

// Exports whose dates count as they are, none of them this cluster's own.
std::vector<Claimant> believed(std::vector<RecordPtr> records) {
  std::vector<Claimant> claimants;
  for (auto& one : records) claimants.push_back({one, one->exported_at});
  return claimants;
}

TEST(Merge, Item16_TheOldestExportWinsAndAllAreTold) {
  auto old = record("west", 1);
  auto young = record("east", 2);
  young->headless = true;
  young->session_affinity = "ClientIP";
  const auto merged = merge(believed({young, old}));
  EXPECT_EQ(merged.spec.type, "ClusterSetIP");
  EXPECT_EQ(merged.clusters(), (std::vector<std::string>{"east", "west"}));
  ASSERT_TRUE(merged.conflict);
  EXPECT_EQ(merged.conflict->reasons, "TypeConflict,SessionAffinityConflict");
  EXPECT_EQ(
      merged.conflict->message,
      "type: 1/2 clusters disagree; sessionAffinity: 1/2 clusters disagree; the oldest export, of "
      "cluster west, wins");
}

TEST(Merge, Item18_TiesGoToTheLowerClusterId) {
  auto a = record("alpha", 1);
  auto b = record("beta", 1);
  b->headless = true;
  EXPECT_FALSE(merge(believed({b, a})).headless());
}

TEST(Merge, Item16_PortsAreAUnionAndOrderIsNoConflict) {
  auto a = record("a", 1);
  auto b = record("b", 2);
  a->ports = {{"x", "TCP", "", 1, "a"}, {"y", "TCP", "", 2, ""}};
  b->ports = {{"y", "TCP", "", 2, "b"}, {"x", "TCP", "", 1, ""}};
  EXPECT_FALSE(merge(believed({a, b})).conflict);
  b->ports = {{"x", "TCP", "", 9, ""}, {"z", "TCP", "", 2, ""}, {"w", "UDP", "", 2, ""}};
  const auto merged = merge(believed({a, b}));
  ASSERT_EQ(merged.spec.ports.size(), 3U);  // x and y of a, then w; z has y's number
  EXPECT_EQ(merged.spec.ports[2].name, "w");
  EXPECT_EQ(merged.conflict->reasons, "PortConflict");
}

// The API server accepts no Service with such ports, so clients of the older export would lose
// theirs.
TEST(Merge, APortWithoutANameIsNotBesideOthers) {
  const auto names = [](std::vector<api::ServicePort> older,
                        std::vector<api::ServicePort> younger) {
    auto a = record("a", 1);
    auto b = record("b", 2);
    a->ports = std::move(older);
    b->ports = std::move(younger);
    std::vector<std::string> merged;
    for (const auto& port : merge(believed({a, b})).spec.ports) {
      merged.push_back(port.name + ":" + std::to_string(port.port));
    }
    return merged;
  };
  using Names = std::vector<std::string>;
  const api::ServicePort sql{"sql", "TCP", "", 5432, ""};
  const api::ServicePort ui{"ui", "TCP", "", 80, ""};
  const api::ServicePort nameless{"", "TCP", "", 9000, ""};
  const api::ServicePort another{"", "UDP", "", 53, ""};
  EXPECT_EQ(names({sql}, {nameless}), Names{"sql:5432"});
  EXPECT_EQ(names({nameless}, {sql, ui}), Names{":9000"}) << "the winner's";
  EXPECT_EQ(names({nameless}, {nameless}), Names{":9000"});
  EXPECT_EQ(names({nameless, another}, {}), Names{":9000"});
  EXPECT_EQ(names({nameless, sql}, {ui}), (Names{"sql:5432", "ui:80"}));
  EXPECT_EQ(names({sql, {"sql", "TCP", "", 1, ""}, {"x", "TCP", "", 5432, ""}}, {ui}),
            (Names{"sql:5432", "ui:80"}))
      << "names and numbers are there once";
  EXPECT_EQ(names({}, {nameless, another}), Names{":9000"});
}

TEST(Merge, Item2_AnyOrderOfArrivalGivesTheSame) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<RecordPtr> records;
    for (unsigned i = 0; i < 1 + random() % 6; ++i) {
      auto r = record("c" + std::to_string(i), static_cast<int>(random() % 3));
      r->headless = random() % 2 == 0;
      r->ports.push_back({"p" + std::to_string(random() % 3), "TCP", "",
                          static_cast<std::uint16_t>(random() % 4 + 1), ""});
      if (random() % 3 == 0) r->labels["a"] = std::to_string(random() % 2);
      records.push_back(r);
    }
    const auto first = merge(believed(records));
    std::shuffle(records.begin(), records.end(), random);
    const auto second = merge(believed(records));
    EXPECT_EQ(first.spec, second.spec);
    EXPECT_EQ(first.conflict, second.conflict);
    EXPECT_EQ(first.records, second.records);
  }
}

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    config.identity = "me";
    put_ns("db");
    api::ClusterProperty id;
    id.meta.key.name = api::kClusterIdProperty;
    id.value = "east";
    store.put(id);
    api::Node node;
    node.meta.key.name = "n";
    node.pod_cidrs = {*Prefix::parse("10.1.0.0/16")};
    store.put(node);
  }
  void put_ns(const std::string& name) {
    api::Namespace ns;
    ns.meta.key.name = name;
    store.put(ns);
  }
  void put_service() {
    api::Service service;
    service.meta.key = {"db", "pg"};
    service.spec.cluster_ips = {"None"};
    service.spec.ports = {{"sql", "TCP", "", 5432, ""}};
    store.put(service);
    api::EndpointSlice slice;
    slice.meta.key = {"db", "pg-1"};
    slice.meta.labels["kubernetes.io/service-name"] = "pg";
    slice.endpoints = {{{*IpAddress::parse("10.1.0.5")}, "pg-0", "", "", true}};
    slice.ports = {{"sql", "TCP", "", 5432}};
    store.put(slice);
  }
  void put_export() {
    api::ServiceExport e;
    e.meta.key = {"db", "pg"};
    store.put(e);
  }
  void put_remote(bool headless = true) {
    api::RemoteExport remote;
    remote.meta.key = {"db", "pg.west"};
    remote.spec = *record("west", 2'000'000'000);
    remote.spec.headless = headless;
    remote.spec.endpoints = {{{*IpAddress::parse("10.2.0.5")}, "pg-0", "", true}};
    store.put(remote);
    put_west("west", true);
  }
  // A ClusterPeer for the cluster west.
  void put_west(const std::string& name, bool connected) {
    api::ClusterPeer peer;
    peer.meta.key.name = name;
    peer.spec.cluster_id = "west";
    peer.spec.gateways = {{0, "k", {}}};
    peer.spec.imports = imports;
    store.put(peer);
    put_connected(name, connected);
  }
  // Sets the connection as the importing gateway does.
  void put_connected(const std::string& name, bool connected) {
    auto peer = store.must_get<api::ClusterPeer>({"", name});
    peer.status.connected = connected;
    const auto status = connected ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse;
    (void)api::set_condition(peer.status.conditions, {"Connected", status, "R", "m", 0, {}},
                             loop.wall_now());
    store.put(peer);
  }
  void run() {
    if (coordinator == nullptr) {
      coordinator = std::make_unique<Coordinator>(
          loop, store, random, config,
          Outlet{[this](std::shared_ptr<const dns::Table> t) { table = std::move(t); }});
    }
    loop.advance(std::chrono::seconds(3));
  }
  static api::ObjectKey west_slice() {
    return slice_key({"db", "pg"}, "west", "IPv4", {{"sql", "TCP", "", 5432}}, 0);
  }
  const api::Condition* condition(const char* type) {
    held = store.must_get<api::ServiceExport>({"db", "pg"});
    return api::find_condition(held.status.conditions, type);
  }
  Config config;
  // The behaviour of KEP-1645, which most tests check.
  std::optional<std::vector<api::ImportRule>> imports =
      std::vector<api::ImportRule>{api::import_everything()};
  SimLoop loop;
  SeededRandom random{1};
  api::MemoryStore store{loop, random};
  std::unique_ptr<Coordinator> coordinator;
  std::shared_ptr<const dns::Table> table;
  api::ServiceExport held;
};

TEST_F(CoordinatorTest, Items3And4_AnExportWaitsForItsServiceAndHeals) {
  put_export();
  run();
  ASSERT_NE(condition("Valid"), nullptr);
  EXPECT_EQ(condition("Valid")->status, ConditionStatus::kFalse);
  EXPECT_EQ(condition("Valid")->reason, "NoService");
  EXPECT_EQ(condition("Ready")->reason, "Pending");
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  put_service();
  run();
  EXPECT_EQ(condition("Valid")->status, ConditionStatus::kTrue);
  EXPECT_EQ(condition("Ready")->reason, "Ready");
  EXPECT_EQ(condition("Conflict")->reason, "NoConflicts");
  const auto import = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(import.spec.type, "Headless");
  EXPECT_EQ(import.status.clusters, std::vector<std::string>{"east"});
  EXPECT_EQ(import.status.endpoint_slice_objects, "Absent");
}

TEST_F(CoordinatorTest, Items7And8_ImportsFollowNamespacesAndTheLastExport) {
  store.drop(api::Kind::kNamespace, {"", "db"});
  put_remote();
  run();
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  put_ns("db");
  run();
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  store.drop(api::Kind::kRemoteExport, {"db", "pg.west"});
  run();
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

TEST_F(CoordinatorTest, Item16_AConflictIsOnOurOwnExport) {
  put_service();
  put_export();
  put_remote(false);
  run();
  EXPECT_EQ(condition("Conflict")->status, ConditionStatus::kTrue);
  EXPECT_NE(condition("Conflict")->reason.find("TypeConflict"), std::string::npos);
}

// By default a peer never takes part in a name that this cluster exports.
TEST_F(CoordinatorTest, APeersExportIsKeptOutOfOurOwnNameAndThatIsSaid) {
  imports.reset();
  put_service();
  put_export();
  put_remote();
  run();
  EXPECT_EQ(store.must_get<api::ServiceImport>({"db", "pg"}).status.clusters,
            std::vector<std::string>{"east"});
  EXPECT_EQ(condition("Conflict")->status, ConditionStatus::kFalse);
  ASSERT_NE(condition("Shared"), nullptr);
  EXPECT_EQ(condition("Shared")->status, ConditionStatus::kFalse);
  EXPECT_EQ(condition("Shared")->reason, "KeptOut");
  EXPECT_NE(condition("Shared")->message.find("by west are not used"), std::string::npos);
  EXPECT_NE(condition("Shared")->message.find("{namespace: db, service: pg, overLocal: true}"),
            std::string::npos);
  // The administrator opens the name.
  imports = std::vector<api::ImportRule>{{"db", "pg", true, false}};
  put_west("west", true);
  run();
  EXPECT_EQ(store.must_get<api::ServiceImport>({"db", "pg"}).status.clusters,
            (std::vector<std::string>{"east", "west"}));
  EXPECT_EQ(condition("Shared")->status, ConditionStatus::kTrue);
  // Then the administrator closes the cluster for all names.
  imports = std::vector<api::ImportRule>{};
  put_west("west", true);
  run();
  EXPECT_EQ(store.must_get<api::ServiceImport>({"db", "pg"}).status.clusters,
            std::vector<std::string>{"east"});
}

// A name stays with its cluster while the own Service is away for a moment.
TEST_F(CoordinatorTest, AnExportWithoutItsServiceKeepsPeersOut) {
  imports.reset();
  put_export();
  put_remote();
  run();
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  EXPECT_EQ(condition("Shared")->reason, "KeptOut");
  store.drop(api::Kind::kServiceExport, {"db", "pg"});
  run();
  EXPECT_EQ(store.must_get<api::ServiceImport>({"db", "pg"}).status.clusters,
            std::vector<std::string>{"west"});
}

// Objects that a stopped gateway left: its cluster is no longer a peer.
TEST_F(CoordinatorTest, AnUnpairedClusterIsImportedFromNoLonger) {
  put_remote();
  run();
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  store.drop(api::Kind::kClusterPeer, {"", "west"});
  run();
  EXPECT_TRUE(store.has(api::Kind::kRemoteExport, {"db", "pg.west"}));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

// The name is open to the peer. An old date gains the peer nothing.
TEST_F(CoordinatorTest, AnAncientDateDoesNotWinOverOurExport) {
  put_service();
  put_export();
  run();
  loop.advance(std::chrono::seconds(5));
  put_remote(false);
  auto remote = store.must_get<api::RemoteExport>({"db", "pg.west"});
  remote.spec.exported_at = WallTime{};
  remote.spec.annotations = {{"causeway.dev/failover", "west"}};
  remote.spec.labels = {{"from", "west"}};
  store.put(remote);
  run();
  const auto import = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(import.spec.type, "Headless") << "as our export has it";
  EXPECT_TRUE(import.meta.annotations.empty());
  EXPECT_TRUE(import.meta.labels.empty());
  EXPECT_NE(condition("Conflict")->message.find("of cluster east, wins"), std::string::npos);
}

TEST_F(CoordinatorTest, ASecondLookWritesNothing) {
  put_service();
  put_export();
  put_remote();
  run();
  loop.advance(std::chrono::seconds(20));
  (void)store.take_log();
  put_ns("other");
  loop.advance(std::chrono::milliseconds(100));
  EXPECT_EQ(store.take_log().find("ServiceImport"), std::string::npos);
}

TEST_F(CoordinatorTest, Items8And10And14_TheDerivedServiceComesHealsAndGoes) {
  config.derive = true;
  put_remote(false);
  run();
  const auto key = derived_key({"db", "pg"});
  const auto slice = west_slice();
  auto service = store.must_get<api::Service>(key);
  EXPECT_TRUE(store.has(api::Kind::kEndpointSlice, slice));
  EXPECT_EQ(store.must_get<api::ServiceImport>({"db", "pg"}).status.conditions[0].reason,
            "Pending");
  service.spec.cluster_ips = {"10.96.0.9"};  // as an API server allocates
  store.put(service);
  run();
  auto import = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(import.spec.ips, std::vector<std::string>{"10.96.0.9"});
  EXPECT_EQ(import.status.conditions[0].status, ConditionStatus::kTrue);
  EXPECT_EQ(import.status.conditions[0].observed_generation, import.meta.generation);
  // Drift is repaired. The address stays for the life of the import.
  service = store.must_get<api::Service>(key);
  service.spec.ports[0].port = 1;
  store.put(service);
  store.drop(api::Kind::kEndpointSlice, slice);
  run();
  EXPECT_EQ(store.must_get<api::Service>(key).spec.ports[0].port, 5432);
  EXPECT_EQ(store.must_get<api::Service>(key).spec.cluster_ips[0], "10.96.0.9");
  EXPECT_TRUE(store.has(api::Kind::kEndpointSlice, slice));
  store.drop(api::Kind::kRemoteExport, {"db", "pg.west"});
  run();
  EXPECT_FALSE(store.has(api::Kind::kService, key));
  EXPECT_FALSE(store.has(api::Kind::kEndpointSlice, slice));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

TEST_F(CoordinatorTest, Item15_EndpointsTurnNotReadyWithinASecondAndComeBack) {
  config.derive = true;
  put_remote(false);
  run();
  const auto slice = west_slice();
  EXPECT_TRUE(store.must_get<api::EndpointSlice>(slice).endpoints[0].is_ready());
  put_connected("west", false);
  loop.advance(std::chrono::milliseconds(500));
  EXPECT_FALSE(store.must_get<api::EndpointSlice>(slice).endpoints[0].is_ready());
  put_connected("west", true);
  loop.advance(std::chrono::milliseconds(500));
  EXPECT_TRUE(store.must_get<api::EndpointSlice>(slice).endpoints[0].is_ready());
}

TEST_F(CoordinatorTest, Item15_ARestartDuringTheOutageKeepsTheDeadline) {
  put_remote();
  run();
  put_connected("west", false);
  loop.advance(std::chrono::hours(20));
  coordinator.reset();
  run();
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  loop.advance(std::chrono::hours(5));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

TEST_F(CoordinatorTest, AClusterThatStaysAwayIsDroppedInTime) {
  put_remote();
  run();
  put_connected("west", false);
  run();
  EXPECT_EQ(coordinator->names().view().services.begin()->second.stale,
            std::set<std::string>{"west"});
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  (void)store.take_log();
  loop.advance(std::chrono::hours(25));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  const auto log = store.take_log();
  const auto told = log.find("write Event");
  ASSERT_NE(told, std::string::npos);
  EXPECT_EQ(log.find("write Event", told + 1), std::string::npos) << "once";
}

TEST_F(CoordinatorTest, AnImportSaysWhichClusterIsLeftOut) {
  put_service();
  put_export();
  put_remote();
  run();
  put_connected("west", false);
  loop.advance(std::chrono::hours(25));
  const auto import = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(import.status.clusters, std::vector<std::string>{"east"});
  const auto* ready = api::find_condition(import.status.conditions, "Ready");
  ASSERT_NE(ready, nullptr);
  EXPECT_NE(ready->message.find("west"), std::string::npos) << ready->message;
  put_connected("west", true);
  run();
  const auto back = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(back.status.clusters, (std::vector<std::string>{"east", "west"}));
  EXPECT_EQ(api::find_condition(back.status.conditions, "Ready")->message,
            "the name resolves in this cluster");
}

// The object that does not count is never connected. It says nothing about the cluster.
TEST_F(CoordinatorTest, ASecondClusterPeerWithItsIdMakesNoClusterStale) {
  put_remote();
  put_west("a-second", false);
  run();
  EXPECT_EQ(coordinator->names().view().services.begin()->second.stale, std::set<std::string>{});
  loop.advance(std::chrono::hours(25));
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

// A ClusterPeer without a status does not say since when its cluster is away.
TEST_F(CoordinatorTest, WithoutATimeNothingIsDropped) {
  put_remote();
  auto peer = store.must_get<api::ClusterPeer>({"", "west"});
  peer.status = {};
  store.put(peer);
  run();
  EXPECT_EQ(coordinator->names().view().services.begin()->second.stale,
            std::set<std::string>{"west"});
  loop.advance(std::chrono::hours(25));
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

// Namespace sameness goes by name: the same Service name in another namespace is another Service.
TEST_F(CoordinatorTest, Item22_TheSameNameInAnotherNamespaceIsAnotherService) {
  put_ns("shop");
  put_service();
  put_export();
  put_remote();
  auto other = store.must_get<api::RemoteExport>({"db", "pg.west"});
  other.meta = {};
  other.meta.key = {"shop", "pg.west"};
  other.spec.service = {"shop", "pg"};
  store.put(other);
  run();
  const auto here = store.must_get<api::ServiceImport>({"db", "pg"});
  EXPECT_EQ(here.status.clusters, (std::vector<std::string>{"east", "west"}));
  const auto there = store.must_get<api::ServiceImport>({"shop", "pg"});
  EXPECT_EQ(there.status.clusters, std::vector<std::string>{"west"});
}

// A write that is always refused is tried more and more rarely, and at once after a change.
TEST_F(CoordinatorTest, AWriteThatIsRefusedIsTriedEverMoreRarely) {
  store.refuse(api::Kind::kServiceImport, Error{Errc::kDenied, "no"});
  put_remote();
  run();
  const auto before = store.refused();
  loop.advance(std::chrono::seconds(60));
  EXPECT_GE(store.refused(), before + 4);
  EXPECT_LE(store.refused(), before + 10);
  store.refuse(api::Kind::kServiceImport, {});
  loop.advance(std::chrono::seconds(12));
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
}

// Two clusters pair: the API server's capacity is left to the records, from which names are made.
TEST_F(CoordinatorTest, WhileRecordsPourInOwnWritesGiveWay) {
  const auto writes = [this] {
    const auto log = store.take_log();
    std::size_t count = 0;
    for (auto at = log.find("write ServiceImport"); at != std::string::npos;
         at = log.find("write ServiceImport", at + 1)) {
      ++count;
    }
    return count;
  };
  put_remote();
  run();
  const auto put_more = [this](int from, int to) {
    for (int n = from; n < to; ++n) {
      auto remote = store.must_get<api::RemoteExport>({"db", "pg.west"});
      remote.meta = {};
      remote.meta.key = {"db", "s" + std::to_string(n) + ".west"};
      remote.spec.service = {"db", "s" + std::to_string(n)};
      store.put(remote);
    }
  };
  (void)writes();
  put_more(0, 40);
  loop.advance(std::chrono::milliseconds(7));
  EXPECT_EQ(coordinator->names().view().services.size(), 41U);
  EXPECT_GE(writes(), ObjectWriter::kInFlight);
  run();
  (void)writes();
  put_more(40, 140);
  loop.advance(std::chrono::milliseconds(7));
  EXPECT_EQ(coordinator->names().view().services.size(), 141U);
  EXPECT_EQ(writes(), 0U);
  // Existing objects are still kept right meanwhile.
  store.drop(api::Kind::kRemoteExport, {"db", "pg.west"});
  loop.advance(std::chrono::milliseconds(100));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "pg"}));
  EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "s139"}));
  run();
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "s139"}));
  EXPECT_TRUE(store.has(api::Kind::kServiceImport, {"db", "s40"}));
}

// An endless stream of records does not delay ServiceImports for ever.
TEST_F(CoordinatorTest, AnEndlessInitialSyncDefersCreatesForAWhileOnly) {
  put_remote();
  run();
  bool came = false;
  for (int round = 0; round < 700 && !came; ++round) {
    for (int n = 0; n < 10; ++n) {
      auto remote = store.must_get<api::RemoteExport>({"db", "pg.west"});
      remote.meta = {};
      remote.meta.key = {"db", "s" + std::to_string(n) + ".west"};
      remote.spec.service = {"db", "s" + std::to_string(n)};
      remote.spec.labels["round"] = std::to_string(round);
      store.put(remote);
    }
    loop.advance(std::chrono::milliseconds(100));
    came = store.has(api::Kind::kServiceImport, {"db", "s9"}) && round > 10;
    if (round == 300) {
      EXPECT_FALSE(store.has(api::Kind::kServiceImport, {"db", "s9"}));
    }
  }
  EXPECT_TRUE(came);
}

// An export whose endpoints a peer cannot reach must not look like a success.
TEST_F(CoordinatorTest, EndpointsOutsideOfTheAnnouncedPrefixesAreSaid) {
  put_service();
  put_export();
  run();
  EXPECT_EQ(condition("Reachable"), nullptr);
  auto slice = store.must_get<api::EndpointSlice>({"db", "pg-1"});
  const auto before = slice;
  slice.endpoints.push_back({{*IpAddress::parse("172.20.1.11")}, "", "", "", true});
  store.put(slice);
  run();
  ASSERT_NE(condition("Reachable"), nullptr);
  EXPECT_EQ(condition("Reachable")->status, ConditionStatus::kFalse);
  EXPECT_EQ(condition("Reachable")->reason, "OutsideCidrs");
  EXPECT_EQ(condition("Ready")->status, ConditionStatus::kTrue);
  EXPECT_EQ(coordinator->exports().incomplete(), 1U);
  slice.endpoints.erase(slice.endpoints.begin());
  store.put(slice);
  run();
  EXPECT_EQ(condition("Ready")->status, ConditionStatus::kFalse);
  EXPECT_EQ(condition("Ready")->reason, "Failed");
  EXPECT_NE(condition("Ready")->message.find("172.20.1.11"), std::string::npos);
  store.put(before);
  run();
  EXPECT_EQ(condition("Ready")->status, ConditionStatus::kTrue);
  EXPECT_EQ(condition("Reachable")->status, ConditionStatus::kTrue);
  EXPECT_EQ(coordinator->exports().incomplete(), 0U);
}

TEST_F(CoordinatorTest, AnExportSaysWhyItsServiceCannotBeRead) {
  put_export();
  put_service();
  auto body = api::encode(store.must_get<api::Service>({"db", "pg"}));
  store.drop(api::Kind::kService, {"db", "pg"});
  body["metadata"]["annotations"]["x"] = 7;
  store.put_body(api::Kind::kService, {"db", "pg"}, body);
  run();
  EXPECT_EQ(condition("Valid")->reason, "UnreadableService");
  EXPECT_NE(condition("Valid")->message.find("metadata.annotations"), std::string::npos);
  store.drop(api::Kind::kService, {"db", "pg"});
  run();
  EXPECT_EQ(condition("Valid")->reason, "NoService");
  put_service();
  run();
  EXPECT_EQ(condition("Valid")->reason, "Valid");
}

TEST_F(CoordinatorTest, TheTableOutlivesTheStore) {
  put_remote();
  run();
  store.unavailable({Errc::kUnavailable, "down"});
  loop.advance(std::chrono::seconds(30));
  ASSERT_NE(table, nullptr);
  EXPECT_TRUE(table->ready());
  EXPECT_EQ(coordinator->names().view().services.size(), 1U);
}

}  // namespace
}  // namespace cw::discovery
