#include "gateway/feed/import_lease.h"

#include <gtest/gtest.h>

#include "api/fake/memory_store.h"
#include "api/names.h"
#include "api/types/lease.h"
#include "api/types/namespace.h"
#include "api/types/remote_export.h"
#include "base/fake/sim_loop.h"
#include "gateway/feed/import_step.h"
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

api::LeaseConfig lease_of(const std::string& identity) {
  return {{std::string(api::kDefaultNamespace), std::string(api::kImportLease)}, identity};
}

// As the Feed does: it tells the writer, if there is one, what changed.
RemoteState::Listener listener_of(const std::function<ImportWriter*()>& writer) {
  RemoteState::Listener on;
  on.on_clusters = [writer] {
    if (auto* w = writer()) w->reconcile_peers();
  };
  on.on_refusals = [writer] {
    if (auto* w = writer()) w->reconcile_refusals();
  };
  on.on_export = [writer](const std::string& cluster, const api::ObjectKey* service) {
    if (auto* w = writer()) w->reconcile_exports(cluster, service);
  };
  return on;
}

// West's gateway 0, which imports from east; the test plays the feed.
struct World {
  SimLoop loop;
  SeededRandom random{1};
  api::MemoryStore store{loop, random};
  RemoteState remotes;
  Inflow inflow{loop, remotes};
  std::unique_ptr<ImportLease> lease;

  World() {
    remotes.set_listener(
        listener_of([this] { return lease == nullptr ? nullptr : lease->writer(); }));
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
    remotes.set_exported(own);
  }
  void import(std::optional<std::vector<api::ImportRule>> rules) {
    auto wanted = peer();
    wanted.spec.imports = std::move(rules);
    store.put(wanted);
    pair();
  }
  void start(const std::string& identity = "west-0") {
    const auto config = lease_of(identity);
    lease = std::make_unique<ImportLease>(loop, store, random, config, remotes);
    lease->set_connected({"east"});
    run(seconds(20));
  }
  // Ends as a stopped process does: the next holder gets the Lease at once.
  void hand_over() {
    lease->release([] {});
    run(seconds(1));
    lease.reset();
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
    remotes.set_peers(peers);
    inflow.schedule();
  }
  void announce(std::vector<Prefix> cidrs = {p("10.1.0.0/16")}) {
    FeedBatch batch;
    batch.announcement = {"east",
                          1,
                          0,
                          {{"n0", std::move(cidrs)}},
                          {{0, "Ng3/uRB3QCOA0nCYOWClLM7TsRCcrTWQIcuPwzpgzzM=", {}, true, "n0"}}};
    inflow.receive("east", std::move(batch));
  }
  void snapshot(const std::vector<api::ExportRecord>& records) {
    ExportMap all;
    for (const auto& one : records) all.emplace(one.service, one);
    snapshot_of(std::move(all));
    remotes.connected("east");
  }
  void snapshot_of(ExportMap all) {
    FeedBatch batch;
    batch.snapshot = std::move(all);
    inflow.receive("east", std::move(batch));
  }
  void put(const api::ExportRecord& one) {
    FeedBatch batch;
    batch.changes.emplace(one.service, one);
    inflow.receive("east", std::move(batch));
  }
  void withdraw(const std::string& name) {
    FeedBatch batch;
    batch.changes.emplace(api::ObjectKey{"shop", name}, std::nullopt);
    inflow.receive("east", std::move(batch));
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
      : lease(world.loop, world.store, world.random, config(), remotes) {
    remotes.set_listener(listener_of([this] { return lease.writer(); }));
    remotes.set_exported({});
    remotes.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  }
  static api::LeaseConfig config() { return lease_of("west-1"); }
  RemoteState remotes;
  ImportLease lease;
};

TEST(ImportLease, WritesWhatIsAccepted) {
  World world;
  ASSERT_NE(world.lease->writer(), nullptr);
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
  EXPECT_TRUE(world.lease->writer()->idle());
  (void)world.store.take_log();
  world.run(seconds(300));
  // Only the Lease is renewed.
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
}

// The API server drops fields that an older schema lacks. The request then counts as written, or it
// would be made again for ever.
TEST(ImportLease, AStoreThatKeepsLessIsNotWrittenAgainForEver) {
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
  EXPECT_TRUE(world.lease->writer()->idle());
  world.snapshot({record("db", "10.1.0.9")});
  world.run(seconds(2));
  EXPECT_EQ(world.stored("db.east").spec.endpoints, record("db", "10.1.0.9").endpoints);
}

TEST(ImportLease, FollowsChangesAndWithdrawals) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.put(record("db", "10.1.0.9"));
  world.put(record("web"));
  world.run(std::chrono::milliseconds(50));
  EXPECT_EQ(world.stored("db.east").spec, record("db", "10.1.0.9"));
  EXPECT_TRUE(world.has("web.east"));
  world.withdraw("db");
  world.run(std::chrono::milliseconds(50));
  EXPECT_FALSE(world.has("db.east"));
  EXPECT_TRUE(world.has("web.east"));
}

TEST(ImportLease, WaitsForTheNamespace) {
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
TEST(ImportLease, AClusterThatIsAwayKeepsItsRecordsUntouched) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  (void)world.store.take_log();
  world.lease->set_connected({});
  world.run(seconds(1));
  EXPECT_FALSE(world.peer().status.connected);
  world.run(seconds(100));
  world.lease->set_connected({"east"});
  world.run(seconds(1));
  EXPECT_TRUE(world.peer().status.connected);
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  EXPECT_EQ(world.store.take_log().find("RemoteExport"), std::string::npos);
}

// At a start no cluster is connected yet. A cluster that was connected before is reported lost only
// after a grace period.
TEST(ImportLease, ARestartDoesNotSayThatAClusterWasLost) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.hand_over();
  (void)world.store.take_log();
  Successor successor(world);
  auto& next = successor.lease;
  world.run(seconds(3));
  ASSERT_NE(next.writer(), nullptr);
  EXPECT_TRUE(world.peer().status.connected);
  next.set_connected({"east"});
  world.run(seconds(60));
  EXPECT_EQ(world.store.take_log().find("ClusterPeer"), std::string::npos);
  next.set_connected({});
  world.run(seconds(1));
  EXPECT_FALSE(world.peer().status.connected);
}

TEST(ImportLease, AClusterThatStaysAwayAfterARestartIsReportedLost) {
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

TEST(ImportLease, ARestartWhileAwayDeletesNothing) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.lease.reset();
  const Successor next(world);
  // The accepted prefixes and gateways are still there, from the ClusterPeer.
  EXPECT_EQ(next.remotes.clusters().at("east").cidrs, std::vector{p("10.1.0.0/16")});
  EXPECT_EQ(next.remotes.clusters().at("east").gateways.size(), 1U);
  world.run(seconds(60));
  ASSERT_NE(next.lease.writer(), nullptr);
  EXPECT_TRUE(world.has("db.east"));
  EXPECT_FALSE(world.peer().status.connected);
  EXPECT_EQ(world.peer().status.cidrs, std::vector{p("10.1.0.0/16")});
}

TEST(ImportLease, ARestartWhileAwayKeepsSinceWhenAndWritesNothing) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.lease->set_connected({});
  world.run(seconds(20));
  const auto before = world.peer().status;
  ASSERT_FALSE(before.connected);
  world.lease.reset();
  (void)world.store.take_log();
  const Successor next(world);
  world.run(seconds(60));
  ASSERT_NE(next.lease.writer(), nullptr);
  EXPECT_EQ(world.peer().status, before);
  const auto log = world.store.take_log();
  EXPECT_EQ(log.find("RemoteExport"), std::string::npos);
  EXPECT_EQ(log.find("write ClusterPeer"), std::string::npos);
}

TEST(ImportLease, UnpairingRemovesTheRecords) {
  World world;
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(1));
  world.store.drop(api::Kind::kClusterPeer, {"", "east"});
  world.pair();
  world.run(seconds(1));
  EXPECT_FALSE(world.has("db.east"));
}

TEST(ImportLease, RefusedClaimsAreAConditionAndTheRestWorks) {
  World world;
  world.remotes.set_local({p("10.2.0.0/16")});
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
            "(10.2.3.4). If the cluster grew, bring the pairing up to date: `causewayctl pair "
            "--refresh`");
  EXPECT_EQ(world.stored("db.east").spec, record("db"));
  // Heals when the claims do.
  world.announce();
  world.put(record("db"));
  world.run(seconds(1));
  EXPECT_EQ(api::find_condition(world.peer().status.conditions, "ClaimsAccepted")->reason,
            "Accepted");
}

TEST(ImportLease, WhatAPeerRefusesOfUsIsAConditionUntilItAcceptsIt) {
  World world;
  world.announce();
  world.run(seconds(1));
  const auto told = [&] {
    world.run(seconds(1));
    const auto peer = world.peer();
    const auto* said = api::find_condition(peer.status.conditions, "AcceptedByPeer");
    return said == nullptr ? "" : said->reason;
  };
  EXPECT_EQ(told(), "") << "the peer has not said anything about it";
  const std::vector<Refusal> refusals{{RefusalReason::kOutsideAllowed, "x", p("10.81.0.0/24")}};
  world.lease->set_refusals({{"east", report_of(refusals)}});
  EXPECT_EQ(told(), "OutsideAllowed");
  world.hand_over();
  world.start("west-1");
  EXPECT_EQ(told(), "OutsideAllowed") << "the next holder of the Lease has not heard of it yet";
  world.lease->set_refusals({{"east", {}}});
  EXPECT_EQ(told(), "Accepted");
}

// Without an announcement nothing was refused, and nothing was accepted either.
TEST(ImportLease, AClusterIsHeardWithItsFirstAnnouncementEvenABadOne) {
  World world;
  EXPECT_FALSE(world.remotes.clusters().at("east").heard);
  FeedBatch batch;
  batch.refused.push_back({std::string(kAnnouncementSubject), {Errc::kInvalid, "host bits"}});
  world.inflow.receive("east", std::move(batch));
  world.run(seconds(1));
  EXPECT_TRUE(world.remotes.clusters().at("east").heard);
  world.announce();
  world.run(seconds(2));
  EXPECT_TRUE(world.remotes.clusters().at("east").heard);
}

TEST(ImportLease, AClusterPeerSaysWhatIsWrongWithIt) {
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
  world.lease->set_troubles({}, {{east, {"InvalidKey", "gateway 1 has no key"}}});
  EXPECT_EQ(condition("GatewaysAccepted"), "InvalidKey");
  EXPECT_EQ(condition("Accepted"), "Paired");
  world.lease->set_troubles({}, {});
  EXPECT_EQ(condition("GatewaysAccepted"), "Accepted");
  world.lease->set_troubles({{east, {"OwnCluster", "it has our cluster id"}}}, {});
  EXPECT_EQ(condition("Accepted"), "OwnCluster");
  (void)world.store.take_log();
  world.run(seconds(300));
  EXPECT_EQ(world.store.take_log().find("ClusterPeer"), std::string::npos) << "written once";
}

const api::Condition& imported(const api::ClusterPeer& peer) {
  return *api::find_condition(peer.status.conditions, "ExportsImported");
}

TEST(ImportLease, ANameOfOursIsKeptOutUntilWeUnexportIt) {
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

TEST(ImportLease, WhatNoRuleNamesIsNotStoredAnywhere) {
  World world;
  world.import(std::vector<api::ImportRule>{{"shop", "web", false, false}});
  world.announce();
  world.snapshot({record("db"), record("web")});
  world.run(seconds(3));
  EXPECT_FALSE(world.has("db.east"));
  EXPECT_TRUE(world.has("web.east"));
  EXPECT_EQ(world.remotes.exports("east").size(), 1U);
  EXPECT_EQ(imported(world.peer()).status, api::ConditionStatus::kTrue) << "it is as wished";
  EXPECT_EQ(imported(world.peer()).reason, "AsListed");
  EXPECT_NE(imported(world.peer()).message.find("1 not listed in spec.imports: shop/db"),
            std::string::npos);
  world.put(record("more"));
  world.run(seconds(3));
  EXPECT_FALSE(world.has("more.east"));
  EXPECT_NE(imported(world.peer()).message.find("2 not listed"), std::string::npos);
  world.withdraw("more");
  world.run(seconds(3));
  EXPECT_NE(imported(world.peer()).message.find("1 not listed"), std::string::npos);
  world.import(std::vector<api::ImportRule>{});
  world.run(seconds(3));
  EXPECT_FALSE(world.has("web.east"));
}

TEST(ImportLease, WritesNothingBeforeItHasOurOwnExports) {
  World world;
  RemoteState fresh;
  fresh.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  fresh.put("east", {"shop", "db"}, EncodedExport(record("db")));
  fresh.complete("east");
  EXPECT_FALSE(fresh.clusters().at("east").complete);
  fresh.set_exported({});
  EXPECT_TRUE(fresh.clusters().at("east").complete);
}

// The receiver enforces the shares, too: a compromised sender does not share.
TEST(ImportLease, ANamespaceOfAPeerCannotCrowdOutAnother) {
  World world;
  world.announce();
  ExportMap all;
  auto crowd = record("x");
  for (std::size_t i = 0; i < kMaxExports; ++i) {
    crowd.service = {"crowd", "s" + std::to_string(i)};
    all.emplace(crowd.service, crowd);
  }
  world.snapshot_of(std::move(all));
  world.run(seconds(3));
  EXPECT_EQ(world.remotes.exports("east").size(), kMaxExports);
  world.put(record("db"));
  world.run(seconds(3));
  EXPECT_EQ(world.remotes.exports("east").count({"shop", "db"}), 1U);
  EXPECT_EQ(world.remotes.exports("east").size(), kMaxExports);
  crowd.service.name = "onemore";
  world.put(crowd);
  world.run(seconds(3));
  EXPECT_EQ(world.remotes.exports("east").count({"crowd", "onemore"}), 0U);
  EXPECT_FALSE(world.remotes.clusters().at("east").refusals.empty());
}

TEST(ImportLease, RepairsWhatOthersBreakAndRetriesWhatFails) {
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
  EXPECT_TRUE(world.lease->writer()->idle());
}

TEST(ImportLease, OnlyTheHolderOfTheLeaseWrites) {
  World world;
  RemoteState other_remotes;
  other_remotes.set_peers({{{"", "east"}, std::make_shared<const api::ClusterPeer>(world.peer())}});
  const auto config = lease_of("west-1");
  ImportLease other(world.loop, world.store, world.random, config, other_remotes);
  world.run(seconds(30));
  EXPECT_NE(world.lease->writer(), nullptr);
  EXPECT_EQ(other.writer(), nullptr);
  bool released = false;
  world.lease->release([&] { released = true; });
  world.run(seconds(10));
  EXPECT_TRUE(released);
  EXPECT_EQ(world.lease->writer(), nullptr);
  EXPECT_NE(other.writer(), nullptr);
  world.announce();
  world.snapshot({record("db")});
  world.run(seconds(5));
  EXPECT_FALSE(world.has("db.east"));
}

TEST(ImportLease, ManyRecordsAreWrittenInTurn) {
  World world;
  world.announce();
  std::vector<api::ExportRecord> many;
  for (int i = 0; i < 500; ++i) many.push_back(record("s" + std::to_string(i)));
  world.snapshot(many);
  world.run(seconds(5));
  EXPECT_TRUE(world.lease->writer()->idle());
  for (const auto& one : many) EXPECT_EQ(world.stored(one.service.name + ".east").spec, one);
  world.snapshot({});
  world.run(seconds(5));
  for (const auto& one : many) EXPECT_FALSE(world.has(one.service.name + ".east"));
}

}  // namespace
}  // namespace cw::gateway
