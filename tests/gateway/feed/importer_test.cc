#include "gateway/feed/importer.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "api/types/lease.h"
#include "api/types/namespace.h"
#include "api/types/remote_export.h"
#include "base/fake/sim_loop.h"
#include "gateway/feed/imports.h"
#include "gateway/feed/inflow.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

Prefix p(std::string_view text) { return *Prefix::parse(text); }

api::ExportRecord record(const std::string& name, std::string_view address = "10.1.0.1") {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", name};
  record.exported_at = WallTime(seconds(1'700'000'000));
  record.ports = {{"pg", "TCP", "", 5432, "5432"}, {"ui", "TCP", "http", 80, "web"}};
  record.port_sets = {{{"pg", "TCP", "", 5432}}};
  record.endpoints = {{{*IpAddress::parse(address)}, "h", "", true}};
  return record;
}

// West's gateway 0, which imports from east; the feed is played by calling its callbacks.
struct World {
  SimLoop loop;
  SeededRandom random{1};
  api::MemoryStore store{loop, random};
  RemoteState intake;
  Inflow inflow{loop, intake};
  FeedCallbacks feed = inflow.callbacks();
  std::unique_ptr<Importer> importer;

  World() {
    put_peer("east");
    put_namespace("shop");
    exports({});
    start();
  }
  // This cluster's own ServiceExports.
  void exports(const std::set<std::string>& names) {
    RemoteState::OwnExports own;
    for (const auto& name : names) {
      api::ServiceExport one;
      one.meta.key = {"shop", name};
      own[one.meta.key] = std::make_shared<const api::ServiceExport>(one);
    }
    intake.set_exported(own);
  }
  void import(std::optional<std::vector<api::ImportRule>> rules) {
    auto wanted = peer();
    wanted.spec.imports = std::move(rules);
    store.put(wanted);
    pair();
  }
  void start(const std::string& identity = "west-0") {
    ImporterConfig config;
    config.identity = identity;
    importer = std::make_unique<Importer>(loop, store, random, config, intake);
    importer->set_connected({"east"});
    run(seconds(20));
  }
  // Ends as a stopped process does: the next holder gets the Lease at once.
  void hand_over() {
    importer->release([] {});
    run(seconds(1));
    importer.reset();
  }
  void put_namespace(const std::string& name) {
    api::Namespace ns;
    ns.meta.key.name = name;
    store.put(ns);
  }
  void put_peer(const std::string& cluster) {
    api::ClusterPeer peer;
    peer.meta.key.name = cluster;
    peer.spec.cluster_id = cluster;
    peer.spec.gateways = {{0, "Ng3/uRB3QCOA0nCYOWClLM7TsRCcrTWQIcuPwzpgzzM=", {}}};
    peer.spec.allowed_cidrs = {p("10.0.0.0/8")};
    store.put(peer);
    pair();
  }
  // As the gateway's app does on every change of its informer.
  void pair() {
    RemoteState::Peers peers;
    for (const auto* name : {"east", "north"}) {
      if (!store.has(api::Kind::kClusterPeer, {"", name})) continue;
      peers[{"", name}] =
          std::make_shared<const api::ClusterPeer>(store.must_get<api::ClusterPeer>({"", name}));
    }
    intake.set_peers(peers);
    inflow.look();
  }
  void announce(std::vector<Prefix> cidrs = {p("10.1.0.0/16")}) {
    feed.on_announcement("east",
                         {"east",
                          std::move(cidrs),
                          {{0, "Ng3/uRB3QCOA0nCYOWClLM7TsRCcrTWQIcuPwzpgzzM=", {}, true, {}, {}}}});
  }
  void snapshot(const std::vector<api::ExportRecord>& records) {
    ExportMap all;
    for (const auto& one : records) all[one.service] = encode_record(one);
    feed.on_snapshot("east", all);
    feed.on_state("east", true);
  }
  void put(const api::ExportRecord& one) {
    feed.on_export("east", one.service, encode_record(one));
  }
  void run(Duration span) { loop.advance(span); }
  bool has(const std::string& name) { return store.has(api::Kind::kRemoteExport, {"shop", name}); }
  api::RemoteExport stored(const std::string& name) {
    return store.must_get<api::RemoteExport>({"shop", name});
  }
  api::ClusterPeer peer() { return store.must_get<api::ClusterPeer>({"", "east"}); }
};

// The next process, or another gateway's. It has read the store, and got nothing from the feed yet.
struct Successor {
  explicit Successor(World& world)
      : importer(world.loop, world.store, world.random, config(), intake) {
    intake.set_exported({});
    intake.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  }
  static ImporterConfig config() {
    ImporterConfig config;
    config.identity = "west-1";
    return config;
  }
  RemoteState intake;
  Importer importer;
};

TEST(Importer, WritesWhatIsAccepted) {
  World world;
  ASSERT_TRUE(world.importer->leading());
  world.announce();
  world.snapshot({record("db"), record("web")});
  world.run(seconds(1));
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  EXPECT_TRUE(world.has("web.east"));
  const auto peer = world.peer();
  EXPECT_EQ(peer.status.cidrs, std::vector{p("10.1.0.0/16")});
  ASSERT_EQ(peer.status.gateways.size(), 1U);
  EXPECT_TRUE(peer.status.gateways[0].draining);
  EXPECT_TRUE(peer.status.connected);
  EXPECT_EQ(api::find_condition(peer.status.conditions, "Connected")->reason, "TunnelUp");
  EXPECT_EQ(api::find_condition(peer.status.conditions, "ClaimsAccepted")->reason, "Accepted");
  EXPECT_TRUE(world.importer->idle());
  (void)world.store.take_log();
  world.run(seconds(300));
  // Only the Lease is renewed.
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
}

// The API server drops fields that an older schema lacks. The request then counts as written, or it
// would be made again for ever.
TEST(Importer, AStoreThatKeepsLessIsNotWrittenAgainForEver) {
  World world;
  world.store.set_schema([](api::Object& object) {
    if (object.kind != api::Kind::kRemoteExport) return;
    for (auto& port : object.body["spec"]["ports"]) port.erase("targetPort");
  });
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(2));
  EXPECT_EQ(world.stored("db.east").spec.ports.at(0).target_port, "");
  (void)world.store.take_log();
  world.run(seconds(60));
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
  EXPECT_TRUE(world.importer->idle());
  world.snapshot({record("db", "10.1.0.9")});
  world.run(seconds(2));
  EXPECT_EQ(world.stored("db.east").spec.endpoints, record("db", "10.1.0.9").endpoints);
}

TEST(Importer, FollowsChangesAndWithdrawals) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.put(record("db", "10.1.0.9"));
  world.put(record("web"));
  world.run(std::chrono::milliseconds(50));
  EXPECT_EQ(world.stored("db.east").spec, record("db", "10.1.0.9"));
  EXPECT_TRUE(world.has("web.east"));
  world.feed.on_withdrawn("east", {"shop", "db"});
  world.run(std::chrono::milliseconds(50));
  EXPECT_FALSE(world.has("db.east"));
  EXPECT_TRUE(world.has("web.east"));
}

TEST(Importer, WaitsForTheNamespace) {
  World world;
  world.announce();
  auto elsewhere = record("db");
  elsewhere.service.ns = "later";
  world.snapshot({elsewhere});
  world.run(seconds(5));
  EXPECT_FALSE(world.store.has(api::Kind::kRemoteExport, {"later", "db.east"}));
  world.put_namespace("later");
  world.run(seconds(1));
  EXPECT_TRUE(world.store.has(api::Kind::kRemoteExport, {"later", "db.east"}));
}

// Said once, by the ClusterPeer: an outage writes nothing for each of 10,000 records.
TEST(Importer, AClusterThatIsAwayKeepsItsRecordsUntouched) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  (void)world.store.take_log();
  world.feed.on_state("east", false);
  world.importer->set_connected({});
  world.run(seconds(1));
  EXPECT_FALSE(world.peer().status.connected);
  world.run(seconds(100));
  world.importer->set_connected({"east"});
  world.run(seconds(1));
  EXPECT_TRUE(world.peer().status.connected);
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
}

// At a start no cluster is connected yet. A cluster that was connected before is reported lost only
// after a grace period.
TEST(Importer, ARestartDoesNotSayThatAClusterWasLost) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.hand_over();
  (void)world.store.take_log();
  Successor successor(world);
  auto& next = successor.importer;
  world.run(seconds(3));
  ASSERT_TRUE(next.leading());
  EXPECT_TRUE(world.peer().status.connected);
  next.set_connected({"east"});
  world.run(seconds(60));
  EXPECT_EQ(world.store.take_log().find("ClusterPeer"), std::string::npos);
  next.set_connected({});
  world.run(seconds(1));
  EXPECT_FALSE(world.peer().status.connected);
}

TEST(Importer, AClusterThatStaysAwayAfterARestartIsReportedLost) {
  World world;
  world.announce();
  world.run(seconds(1));
  world.hand_over();
  const Successor successor(world);
  world.run(seconds(5));
  EXPECT_TRUE(world.peer().status.connected);
  world.run(seconds(6));
  EXPECT_FALSE(world.peer().status.connected);
}

TEST(Importer, ARestartWhileAwayDeletesNothing) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.importer.reset();
  const Successor next(world);
  // The accepted prefixes and gateways are still there, from the ClusterPeer.
  EXPECT_EQ(next.intake.clusters().at("east").cidrs, std::vector{p("10.1.0.0/16")});
  EXPECT_EQ(next.intake.clusters().at("east").gateways.size(), 1U);
  world.run(seconds(60));
  ASSERT_TRUE(next.importer.leading());
  EXPECT_TRUE(world.has("db.east"));
  EXPECT_FALSE(world.peer().status.connected);
  EXPECT_EQ(world.peer().status.cidrs, std::vector{p("10.1.0.0/16")});
}

TEST(Importer, ARestartWhileAwayKeepsSinceWhenAndWritesNothing) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.feed.on_state("east", false);
  world.importer->set_connected({});
  world.run(seconds(20));
  const auto before = world.peer().status;
  ASSERT_FALSE(before.connected);
  world.importer.reset();
  (void)world.store.take_log();
  const Successor next(world);
  world.run(seconds(60));
  ASSERT_TRUE(next.importer.leading());
  EXPECT_EQ(world.peer().status, before);
  const auto log = world.store.take_log();
  EXPECT_EQ(log.find("RemoteExport"), std::string::npos);
  EXPECT_EQ(log.find("write ClusterPeer"), std::string::npos);
}

TEST(Importer, UnpairingRemovesTheRecords) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.store.drop(api::Kind::kClusterPeer, {"", "east"});
  world.pair();
  world.run(seconds(1));
  EXPECT_FALSE(world.has("db.east"));
}

TEST(Importer, RefusedClaimsAreAConditionAndTheRestWorks) {
  World world;
  world.intake.set_local({p("10.2.0.0/16")});
  world.announce({p("10.1.0.0/16"), p("10.2.3.0/24"), p("192.168.0.0/16")});
  auto mixed = record("db");
  mixed.endpoints.push_back({{*IpAddress::parse("10.2.3.4")}, "x", "", true});
  world.snapshot({mixed});
  world.run(seconds(1));
  const auto peer = world.peer();
  EXPECT_EQ(peer.status.cidrs, std::vector{p("10.1.0.0/16")});
  const auto* claims = api::find_condition(peer.status.conditions, "ClaimsAccepted");
  ASSERT_NE(claims, nullptr);
  EXPECT_EQ(claims->status, api::ConditionStatus::kFalse);
  EXPECT_EQ(claims->reason, "OutsideAllowed");
  EXPECT_EQ(claims->message,
            "192.168.0.0/16 is not within the allowed CIDRs; 10.2.3.0/24 overlaps 10.2.0.0/16 of "
            "this cluster; 1 endpoint(s) of export shop/db are outside the accepted CIDRs "
            "(10.2.3.4)");
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  // Heals when the claims do.
  world.announce();
  world.put(record("db"));
  world.run(seconds(1));
  EXPECT_EQ(api::find_condition(world.peer().status.conditions, "ClaimsAccepted")->reason,
            "Accepted");
}

TEST(Importer, AClusterPeerSaysWhatIsWrongWithIt) {
  World world;
  const api::ObjectKey east{"", "east"};
  const auto condition = [&](const char* type) {
    world.run(seconds(1));
    const auto peer = world.peer();
    const auto* found = api::find_condition(peer.status.conditions, type);
    return found == nullptr ? std::string() : found->reason;
  };
  world.announce();
  EXPECT_EQ(condition("GatewaysAccepted"), "");
  world.importer->set_troubles({}, {{east, {"InvalidKey", "gateway 1 has no key"}}});
  EXPECT_EQ(condition("GatewaysAccepted"), "InvalidKey");
  EXPECT_EQ(condition("Accepted"), "Paired");
  world.importer->set_troubles({}, {});
  EXPECT_EQ(condition("GatewaysAccepted"), "Accepted");
  world.importer->set_troubles({{east, {"OwnCluster", "it has our cluster id"}}}, {});
  EXPECT_EQ(condition("Accepted"), "OwnCluster");
  (void)world.store.take_log();
  world.run(seconds(300));
  EXPECT_EQ(world.store.take_log().find("ClusterPeer"), std::string::npos) << "written once";
}

const api::Condition& imported(const api::ClusterPeer& peer) {
  return *api::find_condition(peer.status.conditions, "ExportsImported");
}

TEST(Importer, ANameOfOursIsKeptOutUntilWeUnexportIt) {
  World world;
  world.exports({"db"});
  world.announce();
  world.snapshot({record("db"), record("web")});
  world.run(seconds(3));
  EXPECT_TRUE(world.stored("db.east").kept_out);
  EXPECT_EQ(world.stored("db.east").spec, kept_out_record("east", {"shop", "db"}))
      << "without its endpoints and annotations";
  EXPECT_FALSE(world.stored("web.east").kept_out);
  EXPECT_EQ(imported(world.peer()).status, api::ConditionStatus::kFalse);
  EXPECT_EQ(imported(world.peer()).reason, "KeptOut");
  EXPECT_NE(imported(world.peer()).message.find("1 not used"), std::string::npos);
  EXPECT_NE(imported(world.peer()).message.find("shop/db"), std::string::npos);
  (void)world.store.take_log();
  world.run(seconds(300));
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
  world.exports({});
  world.run(seconds(3));
  EXPECT_EQ(world.stored("db.east").spec, record("db")) << "without asking the peer again";
  EXPECT_FALSE(world.stored("db.east").kept_out);
  EXPECT_EQ(imported(world.peer()).reason, "AllImported");
  world.exports({"db"});
  world.run(seconds(3));
  EXPECT_TRUE(world.stored("db.east").kept_out);
  world.import(std::vector<api::ImportRule>{{"shop", "db", true, false}});
  world.run(seconds(3));
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
}

TEST(Importer, WhatNoRuleNamesIsNotStoredAnywhere) {
  World world;
  world.import(std::vector<api::ImportRule>{{"shop", "web", false, false}});
  world.announce();
  world.snapshot({record("db"), record("web")});
  world.run(seconds(3));
  EXPECT_FALSE(world.has("db.east"));
  EXPECT_TRUE(world.has("web.east"));
  EXPECT_EQ(world.intake.exports("east").size(), 1U);
  EXPECT_EQ(imported(world.peer()).status, api::ConditionStatus::kTrue) << "it is as wished";
  EXPECT_EQ(imported(world.peer()).reason, "AsListed");
  EXPECT_NE(imported(world.peer()).message.find("1 not listed in spec.imports: shop/db"),
            std::string::npos);
  world.put(record("more"));
  world.run(seconds(3));
  EXPECT_FALSE(world.has("more.east"));
  EXPECT_NE(imported(world.peer()).message.find("2 not listed"), std::string::npos);
  world.feed.on_withdrawn("east", {"shop", "more"});
  world.run(seconds(3));
  EXPECT_NE(imported(world.peer()).message.find("1 not listed"), std::string::npos);
  world.import(std::vector<api::ImportRule>{});
  world.run(seconds(3));
  EXPECT_FALSE(world.has("web.east"));
}

TEST(Importer, WritesNothingBeforeItHasOurOwnExports) {
  World world;
  RemoteState fresh;
  fresh.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  fresh.put("east", {"shop", "db"}, encode_record(record("db")));
  fresh.complete("east");
  EXPECT_FALSE(fresh.clusters().at("east").complete);
  fresh.set_exported({});
  EXPECT_TRUE(fresh.clusters().at("east").complete);
}

// The receiver enforces the shares, too: a compromised sender does not share.
TEST(Importer, ANamespaceOfAPeerCannotCrowdOutAnother) {
  World world;
  world.announce();
  ExportMap all;
  auto crowd = record("x");
  for (std::size_t i = 0; i < kMaxExports; ++i) {
    crowd.service = {"crowd", "s" + std::to_string(i)};
    all[crowd.service] = encode_record(crowd);
  }
  world.feed.on_snapshot("east", std::move(all));
  world.run(seconds(3));
  EXPECT_EQ(world.intake.exports("east").size(), kMaxExports);
  world.put(record("db"));
  world.run(seconds(3));
  EXPECT_EQ(world.intake.exports("east").count({"shop", "db"}), 1U);
  EXPECT_EQ(world.intake.exports("east").size(), kMaxExports);
  crowd.service.name = "onemore";
  world.put(crowd);
  world.run(seconds(3));
  EXPECT_EQ(world.intake.exports("east").count({"crowd", "onemore"}), 0U);
  EXPECT_FALSE(world.intake.clusters().at("east").refusals.empty());
}

TEST(Importer, RepairsWhatOthersBreakAndRetriesWhatFails) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  auto broken = world.stored("db.east");
  broken.spec.ports.clear();
  world.store.put(broken);
  world.run(seconds(1));
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  world.store.put_body(api::Kind::kRemoteExport, {"shop", "db.east"},
                       {{"metadata", {{"name", "db.east"}, {"namespace", "shop"}}}, {"spec", 3}});
  world.run(seconds(1));
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  world.store.drop(api::Kind::kRemoteExport, {"shop", "db.east"});
  world.run(seconds(1));
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  for (const auto code : {Errc::kConflict, Errc::kUnavailable, Errc::kExists, Errc::kNotFound}) {
    world.store.fail_next({code, "for a change"});
    world.put(record("web", code == Errc::kConflict ? "10.1.0.2" : "10.1.0.3"));
    world.put(record("db", code == Errc::kExists ? "10.1.0.4" : "10.1.0.5"));
    world.run(seconds(2));
  }
  EXPECT_EQ(world.stored("web.east").spec, record("web", "10.1.0.3"));
  EXPECT_EQ(world.stored("db.east").spec, record("db", "10.1.0.5"));
  EXPECT_TRUE(world.importer->idle());
}

TEST(Importer, OnlyTheHolderOfTheLeaseWrites) {
  World world;
  RemoteState other_intake;
  other_intake.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  ImporterConfig config;
  config.identity = "west-1";
  Importer other(world.loop, world.store, world.random, config, other_intake);
  world.run(seconds(30));
  EXPECT_TRUE(world.importer->leading());
  EXPECT_FALSE(other.leading());
  bool released = false;
  world.importer->release([&] { released = true; });
  world.run(seconds(10));
  EXPECT_TRUE(released);
  EXPECT_FALSE(world.importer->leading());
  EXPECT_TRUE(other.leading());
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(5));
  EXPECT_FALSE(world.has("db.east"));
}

TEST(Importer, ManyRecordsAreWrittenInTurn) {
  World world;
  world.announce();
  std::vector<api::ExportRecord> many;
  for (int i = 0; i < 500; ++i) many.push_back(record("s" + std::to_string(i)));
  world.snapshot(many);
  world.run(seconds(5));
  EXPECT_TRUE(world.importer->idle());
  for (const auto& one : many) EXPECT_EQ(world.stored(one.service.name + ".east").spec, one);
  world.snapshot({});
  world.run(seconds(5));
  for (const auto& one : many) EXPECT_FALSE(world.has(one.service.name + ".east"));
}

}  // namespace
}  // namespace cw::gateway
