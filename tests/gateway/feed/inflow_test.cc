// How fast a peer's statements take effect, in virtual time.
#include "gateway/feed/inflow.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/fake/sim_loop.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/refusal_log.h"
#include "gateway/feed/stream.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kKey = "Ng3/uRB3QCOA0nCYOWClLM7TsRCcrTWQIcuPwzpgzzM=";

Prefix p(std::string_view text) { return *Prefix::parse(text); }

// Single addresses of net.0.0/16.
std::vector<Prefix> addresses(std::string_view net, unsigned count) {
  std::vector<Prefix> many;
  for (unsigned n = 0; n < count; ++n) {
    many.push_back(p(fmt::format("{}.{}.{}/32", net, n / 250, n % 250)));
  }
  return many;
}

// A hundred of them on each node.
NodePrefixes on_nodes(const std::vector<Prefix>& prefixes) {
  NodePrefixes nodes;
  for (std::size_t n = 0; n < prefixes.size(); ++n) {
    nodes[fmt::format("n{}", n / 100)].push_back(prefixes[n]);
  }
  return nodes;
}

api::ObjectKey key(std::size_t n) { return {"shop", fmt::format("s{:05}", n)}; }

EncodedExport said(std::size_t n, std::uint16_t port = 80, const std::string& at = "10.1.0.1") {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = key(n);
  record.ports = {{"", "TCP", "", port, ""}};
  record.endpoints = {{{*IpAddress::parse(at)}, "h", "", true}};
  return EncodedExport(record);
}

struct World {
  SimLoop loop;
  RemoteState remotes;
  int resyncs = 0;
  std::set<std::string> resynced;
  Inflow inflow{loop, remotes, [this](const std::string& cluster) {
                  ++resyncs;
                  resynced.insert(cluster);
                }};
  std::size_t told = 0;  // the number of exports that changed
  std::size_t clusters = 0;
  std::size_t refusals = 0;

  World() {
    RemoteState::Listener listener;
    listener.on_export = [this](const std::string&, const api::ObjectKey* service) {
      told += service != nullptr ? 1 : 0;
    };
    listener.on_clusters = [this] { ++clusters; };
    listener.on_refusals = [this] { ++refusals; };
    remotes.set_listener(listener);
    RemoteState::Peers peers;
    for (const auto* name : {"east", "north"}) {
      auto peer = std::make_shared<api::ClusterPeer>();
      peer->meta.key.name = name;
      peer->spec.cluster_id = name;
      peer->spec.gateways = {{0, kKey, {}}};
      peer->spec.allowed_cidrs = {p(std::string(name) == "east" ? "10.1.0.0/16" : "10.2.0.0/16")};
      peers[{"", name}] = peer;
    }
    remotes.set_exported({});
    remotes.set_peers(peers);
    remotes.set_exported({});
    announce({p("10.1.0.0/16")});
    run(milliseconds(1));
  }
  void announce(const std::vector<Prefix>& cidrs) { announce(on_nodes(cidrs), 0); }
  // `since` 0: all nodes.
  void announce(NodePrefixes nodes, std::uint64_t since) {
    FeedBatch batch;
    batch.announcement = {"east", since + 1, since, std::move(nodes), {{0, kKey, {}, false, "n0"}}};
    inflow.receive("east", std::move(batch));
  }
  // Null: the export is withdrawn.
  void change(const std::string& cluster, const api::ObjectKey& service,
              std::optional<EncodedExport> next) {
    FeedBatch batch;
    batch.changes.emplace(service, std::move(next));
    inflow.receive(cluster, std::move(batch));
  }
  void snapshot(std::size_t size, std::uint16_t port = 80) {
    ExportMap all;
    for (std::size_t n = 0; n < size; ++n) all.emplace(key(n), said(n, port));
    snapshot(std::move(all));
  }
  void snapshot(ExportMap all) {
    FeedBatch batch;
    batch.snapshot = std::move(all);
    inflow.receive("east", std::move(batch));
  }
  void run(Duration span) { loop.advance(span); }
  std::size_t known() { return remotes.exports("east").size(); }
  bool refused(const std::string& part) {
    for (const auto& refusal : remotes.clusters().at("east").refusals) {
      if (refusal.message.find(part) != std::string::npos) return true;
    }
    return false;
  }
  void refuse(const api::ObjectKey& service, const std::string& why) {
    refuse(export_subject(service), why, service);
  }
  void refuse(const std::string& subject, const std::string& why,
              std::optional<api::ObjectKey> service = {}) {
    FeedBatch batch;
    batch.refused.push_back({subject, {Errc::kInvalid, why}, std::move(service)});
    inflow.receive("east", std::move(batch));
  }
};

TEST(Inflow, AFirstSyncOfEverythingGoesThroughAtOnce) {
  World world;
  world.snapshot(kMaxExports);
  EXPECT_FALSE(world.remotes.clusters().at("east").complete);
  world.run(milliseconds(50));
  EXPECT_EQ(world.known(), kMaxExports);
  EXPECT_TRUE(world.remotes.clusters().at("east").complete);
}

TEST(Inflow, AResyncWithoutChangesCostsNothing) {
  World world;
  world.snapshot(2000);
  world.run(milliseconds(50));
  const auto told = world.told;
  for (int n = 0; n < 100; ++n) {
    world.snapshot(2000);
    world.run(milliseconds(1));
  }
  EXPECT_EQ(world.told, told);
  // The budget is untouched: another 10,000 changes go through.
  world.snapshot(kMaxExports - 1, 81);
  world.run(milliseconds(50));
  EXPECT_EQ(world.told, told + kMaxExports - 1);
}

TEST(Inflow, ASnapshotIsComparedInSlices) {
  World world;
  world.snapshot(kMaxExports);
  world.run(milliseconds(50));
  const auto told = world.told;
  // Another snapshot, the same except for the last export. Other work of the loop runs in between.
  std::size_t turns = 0;
  Handle other;
  std::function<void()> turn = [&] {
    ++turns;
    if (world.inflow.waiting("east") != 0) other = world.loop.after(Duration::zero(), turn);
  };
  other = world.loop.after(Duration::zero(), turn);
  world.snapshot(kMaxExports - 1);
  EXPECT_EQ(world.inflow.waiting("east"), kMaxExports - 1);
  world.run(milliseconds(50));
  EXPECT_GE(turns, kMaxExports / 1024);
  EXPECT_EQ(world.told, told + 1);
  EXPECT_EQ(world.known(), kMaxExports - 1);
}

TEST(Inflow, WhatChangesWhileASnapshotIsComparedIsNewer) {
  World world;
  world.snapshot(5000);
  world.run(milliseconds(50));
  world.snapshot(5000, 81);
  // One export changes again, one is gone, one is new. None of them is compared yet.
  world.change("east", key(4998), said(4998, 99));
  world.change("east", key(4999), std::nullopt);
  world.change("east", key(7000), said(7000));
  world.run(milliseconds(50));
  EXPECT_EQ(world.known(), 5000U);
  EXPECT_EQ(world.remotes.exports("east").at(key(0)).said, said(0, 81));
  EXPECT_EQ(world.remotes.exports("east").at(key(4998)).said, said(4998, 99));
  EXPECT_EQ(world.remotes.exports("east").count(key(4999)), 0U);
  EXPECT_EQ(world.remotes.exports("east").count(key(7000)), 1U);
}

TEST(Inflow, RefusalsAreToldTogether) {
  World world;
  world.run(seconds(1));
  const auto before = world.refusals;
  for (int n = 0; n < 1000; ++n) {
    world.refuse(api::ObjectKey{"shop", fmt::format("bad{:02}", n % 50)}, fmt::format("bad {}", n));
    world.run(milliseconds(1));
  }
  EXPECT_LE(world.refusals - before, 11U);
  world.run(milliseconds(100));
  EXPECT_TRUE(world.refused("bad 999"));
  EXPECT_LE(world.refusals - before, 11U);
}

TEST(ReadBudget, ASnapshotEachTenSecondsAfterABurst) {
  ReadBudget budget;
  TimePoint now{seconds(1000)};
  for (int n = 0; n < 10; ++n) EXPECT_EQ(budget.snapshot(now), Duration::zero());
  const auto wait = budget.snapshot(now);
  EXPECT_GT(wait, seconds(9));
  EXPECT_LE(wait, seconds(10) + milliseconds(1));
  // A refused snapshot costs nothing.
  now += wait;
  EXPECT_EQ(budget.snapshot(now), Duration::zero());
  EXPECT_GT(budget.snapshot(now), seconds(9));
}

TEST(Inflow, APeerThatChangesEverythingAllTheTimeGetsFiftyChangesPerSecond) {
  World world;
  std::uint16_t port = 1;
  for (int n = 0; n < 4; ++n, ++port) {
    world.snapshot(5000, port);
    world.run(milliseconds(100));
  }
  const auto burst = world.told;
  EXPECT_LE(burst, 12'050U);
  for (int n = 0; n < 100; ++n) {
    for (std::size_t m = 0; m < 1000; ++m) world.change("east", key(m), said(m, port));
    ++port;
    world.run(milliseconds(100));
  }
  EXPECT_LE(world.told - burst, 50U * 10 + 10);
  EXPECT_GE(world.told - burst, 50U * 10 - 60);
  // The newest version of each waited, and it arrives.
  world.run(seconds(200));
  EXPECT_EQ(world.inflow.waiting("east"), 0U);
  for (std::size_t m = 0; m < 1000; ++m) {
    EXPECT_EQ(world.remotes.exports("east").at(key(m)).said,
              said(m, static_cast<std::uint16_t>(port - 1)));
  }
}

// With spec.imports most exports of a large cluster may be unused. They come with every snapshot.
TEST(Inflow, ExportsThatNoRuleNamesAreNearlyFree) {
  World world;
  auto peer = std::make_shared<api::ClusterPeer>();
  peer->meta.key.name = "east";
  peer->spec.cluster_id = "east";
  peer->spec.gateways = {{0, kKey, {}}};
  peer->spec.allowed_cidrs = {p("10.1.0.0/16")};
  peer->spec.imports = std::vector<api::ImportRule>{{"shop", "s00007", false, false}};
  world.remotes.set_peers({{{"", "east"}, peer}});
  for (std::uint16_t port = 1; port <= 4; ++port) {
    world.snapshot(9000, port);
    world.run(milliseconds(50));
    EXPECT_EQ(world.inflow.waiting("east"), 0U) << port;
    EXPECT_EQ(world.known(), 1U);
  }
}

TEST(Inflow, OnePeersFloodDoesNotDelayAnothers) {
  World world;
  std::uint16_t port = 1;
  for (int n = 0; n < 6; ++n, ++port) {
    world.snapshot(9000, port);
    world.run(milliseconds(10));
  }
  EXPECT_GT(world.inflow.waiting("east"), 1000U);
  world.change("north", key(1), said(1));
  world.run(milliseconds(1));
  EXPECT_EQ(world.remotes.exports("north").size(), 1U);
}

TEST(Inflow, WhatWaitsIsBounded) {
  World world;
  world.snapshot(9000, 1);
  world.snapshot(9000, 2);
  world.run(milliseconds(10));
  for (std::size_t n = 0; n < 100'000; ++n) {
    world.change("east", key(n), said(n));
    EXPECT_LE(world.inflow.waiting("east"), 2 * kMaxExports + 1);
  }
  world.run(milliseconds(1));
  EXPECT_GE(world.resyncs, 1);
}

// Otherwise records that an earlier process stored would be removed without a comparison.
TEST(Inflow, ASnapshotThatIsForgottenIsNotComplete) {
  World world;
  world.snapshot(100);
  for (std::size_t n = 0; n <= 2 * kMaxExports; ++n) {
    world.change("east", key(n), said(n));
  }
  world.run(seconds(1));
  EXPECT_GE(world.resyncs, 1);
  EXPECT_FALSE(world.remotes.clusters().at("east").complete);
  world.snapshot(100);
  world.run(seconds(1));
  EXPECT_TRUE(world.remotes.clusters().at("east").complete);
}

TEST(Inflow, TwoClustersThatSayTooMuchInOneTurnAreBothAskedAgain) {
  World world;
  for (const auto* cluster : {"east", "north"}) {
    for (std::size_t n = 0; n <= 2 * kMaxExports; ++n) {
      world.change(cluster, key(n), said(n));
    }
  }
  world.run(milliseconds(1));
  EXPECT_EQ(world.resynced, (std::set<std::string>{"east", "north"}));
}

TEST(Inflow, ADifferenceIsMergedAndTakesEffectAtOnce) {
  World world;
  world.run(seconds(60));
  world.announce(addresses("10.1", 4000));  // n0 to n39
  world.run(milliseconds(1));
  const auto& east = world.remotes.clusters().at("east");
  for (unsigned n = 0; n < 5; ++n) {  // new blocks of one node
    const auto before = world.clusters;
    auto blocks = on_nodes(addresses("10.1", 100))["n0"];
    for (unsigned m = 0; m <= n; ++m) blocks.push_back(p(fmt::format("10.1.200.{}/32", m)));
    world.announce({{"n0", blocks}}, 1);
    world.run(milliseconds(1));
    EXPECT_EQ(world.clusters, before + 1) << n;
    EXPECT_EQ(east.cidrs.size(), 4001U + n);
    EXPECT_EQ(east.nodes.at("n0").size(), 101U + n);
  }
  world.announce({{"n0", {}}, {"n1", {p("10.1.200.0/32")}}}, 1);
  world.run(milliseconds(1));
  EXPECT_EQ(east.nodes.count("n0"), 0U);
  EXPECT_EQ(east.nodes.at("n1"), std::vector{p("10.1.200.0/32")});
  EXPECT_EQ(east.cidrs.size(), 3801U);
}

TEST(Inflow, ChangesOfALargeClusterCostMore) {
  World world;
  world.run(seconds(60));
  const auto many = addresses("10.1", 9000);
  world.announce(many);
  world.run(milliseconds(1));
  const auto before = world.clusters;
  for (int n = 0; n < 6000; ++n) {  // a minute
    world.announce({{"n0", {p(fmt::format("10.1.200.{}/32", n % 249))}}}, 1);
    world.run(milliseconds(10));
  }
  EXPECT_LE(world.clusters - before, 5U + 6U) << "of ten tokens each";
  EXPECT_GE(world.clusters - before, 8U);
}

TEST(Inflow, NodesThatComeAndGoWhileTheyWaitAreNotMoreAndMore) {
  World world;
  world.announce(addresses("10.1", 9000));
  world.run(milliseconds(1));
  world.announce({{"n0", {}}}, 1);  // the budget is spent soon
  for (unsigned n = 0; n < 300; ++n) {
    NodePrefixes nodes;
    for (unsigned m = 0; m < 1000; ++m) nodes[fmt::format("gone-{}-{}", n, m)] = {};
    world.announce(std::move(nodes), 1);
  }
  world.run(seconds(60));
  EXPECT_EQ(world.remotes.announced("east").size(), 89U);
}

TEST(Inflow, ADifferenceWithoutWhatItChangesIsIgnored) {
  World world;
  world.run(seconds(2));
  FeedBatch batch;
  batch.announcement = {"north", 8, 7, {{"n", {p("10.2.0.0/24")}}}, {}};
  world.inflow.receive("north", std::move(batch));
  world.run(seconds(1));
  EXPECT_TRUE(world.remotes.clusters().at("north").cidrs.empty());
}

TEST(Inflow, ExportsAreJudgedAgainInSlicesWhenImportsChange) {
  World world;
  world.snapshot(5000);
  world.run(milliseconds(50));
  auto peer = std::make_shared<api::ClusterPeer>();
  peer->meta.key.name = "east";
  peer->spec.cluster_id = "east";
  peer->spec.gateways = {{0, kKey, {}}};
  peer->spec.allowed_cidrs = {p("10.1.0.0/16")};
  peer->spec.imports = std::vector<api::ImportRule>{{"shop", "s00007", false, false}};
  const auto told = world.told;
  world.remotes.set_peers({{{"", "east"}, peer}});
  EXPECT_EQ(world.told, told) << "no export was read in this call";
  EXPECT_TRUE(world.remotes.recheck(32));
  EXPECT_EQ(world.told, told + 31) << "one of them is listed";
  world.inflow.schedule();
  world.run(milliseconds(50));
  EXPECT_EQ(world.told, told + 4999);
  EXPECT_EQ(world.known(), 1U);
  world.run(milliseconds(100));
  EXPECT_EQ(world.remotes.clusters().at("east").left_out.not_listed.count, 4999U);
}

TEST(Inflow, OfAFloodOfAnnouncementsOneASecondTakesEffectTheNewestOne) {
  World world;
  world.run(seconds(2));
  const auto before = world.clusters;
  for (int n = 0; n < 1000; ++n) {
    world.announce({p(n % 2 == 0 ? "10.1.0.0/17" : "10.1.0.0/16")});
    world.run(milliseconds(10));
  }
  EXPECT_LE(world.clusters - before, 50U + 11U);
  world.announce({p("10.1.128.0/17")});
  world.run(seconds(2));
  EXPECT_EQ(world.remotes.clusters().at("east").cidrs, std::vector{p("10.1.128.0/17")});
}

TEST(Inflow, ExportsAreJudgedAgainInSlicesWhenPrefixesChange) {
  World world;
  world.snapshot(3000);
  world.run(milliseconds(50));
  world.run(seconds(1));
  const auto told = world.told;
  world.announce({p("10.1.128.0/17")});  // their endpoints are outside now
  world.run(milliseconds(50));
  EXPECT_EQ(world.told, told + 3000);
  EXPECT_TRUE(world.remotes.record("east", key(1))->record.endpoints.empty());
  world.run(milliseconds(100));
  EXPECT_TRUE(world.refused("10.1.0.1"));
  // 3,000 refusals are shortened to a readable number.
  EXPECT_LE(world.remotes.clusters().at("east").refusals.size(), 301U);
}

TEST(Inflow, RefusedCidrsAreCountedNotListed) {
  World world;
  world.run(seconds(2));
  const auto many = addresses("10.99", 9000);
  world.announce(many);
  world.run(seconds(1));
  const auto& refusals = world.remotes.clusters().at("east").refusals;
  EXPECT_LE(refusals.size(), 101U);
  EXPECT_TRUE(world.refused("more are refused"));
}

TEST(Inflow, WhatASnapshotHasAtFaultIsSaidAfterItsEnd) {
  World world;
  // In the stream's order: the snapshot, then the faults inside it.
  world.snapshot(3);
  world.refuse(api::ObjectKey{"shop", "s00001"},
               "export: endpoints: 169.254.169.254 cannot be an endpoint");
  world.run(seconds(1));
  EXPECT_TRUE(world.refused("169.254.169.254"));
  // Other changes do not remove the refusal.
  world.change("east", key(2), said(2, 99));
  world.announce({p("10.1.0.0/17")});
  world.run(seconds(2));
  EXPECT_TRUE(world.refused("169.254.169.254"));
  // A good version removes it, and so does its withdrawal, or a snapshot without it.
  world.change("east", key(1), said(1, 99));
  world.run(seconds(1));
  EXPECT_FALSE(world.refused("169.254.169.254"));
  world.refuse(api::ObjectKey{"shop", "gone"}, "bad export");
  world.run(milliseconds(100));
  EXPECT_TRUE(world.refused("bad export"));
  world.change("east", {"shop", "gone"}, std::nullopt);
  world.run(seconds(1));
  EXPECT_FALSE(world.refused("bad export"));
  world.refuse("message", "bad message");
  world.snapshot(3);
  world.run(milliseconds(100));
  EXPECT_FALSE(world.refused("bad message"));
}

TEST(Inflow, AKnownExportThatTurnsBadInASnapshotIsGoneAndRefused) {
  World world;
  world.snapshot(3);
  world.run(seconds(1));
  ExportMap without{{key(0), said(0)}, {key(2), said(2)}};
  world.snapshot(std::move(without));
  world.refuse(api::ObjectKey{"shop", "s00001"}, "bad endpoint");
  world.run(seconds(1));
  EXPECT_EQ(world.known(), 2U);
  EXPECT_TRUE(world.refused("bad endpoint"));
  // If a good version comes before the bad one took effect, the good one is newer.
  world.change("east", key(1), said(1));
  world.refuse(api::ObjectKey{"shop", "s00001"}, "worse endpoint");
  world.change("east", key(1), said(1, 99));
  world.run(seconds(1));
  EXPECT_EQ(world.known(), 3U);
  EXPECT_FALSE(world.refused("endpoint"));
}

TEST(Inflow, ABadAnnouncementIsSaidUntilAGoodOneComes) {
  World world;
  world.refuse("announcement", "cidrs: has host bits set");
  world.snapshot(3);
  world.run(seconds(1));
  EXPECT_TRUE(world.refused("host bits"));
  world.announce({p("10.1.0.0/16")});  // the same as before
  world.run(seconds(2));
  EXPECT_FALSE(world.refused("host bits"));
}

TEST(RefusalLog, SaysOneLineAMinuteAndCluster) {
  RefusalLog log;
  TimePoint now{seconds(100)};
  std::map<std::string, AcceptedCluster> clusters;
  EXPECT_TRUE(log.changed(clusters, now).empty());
  clusters["east"].refusals = {{RefusalReason::kInvalid, "one"}, {RefusalReason::kInvalid, "two"}};
  EXPECT_EQ(log.changed(clusters, now),
            (std::vector<RefusalLog::Line>{{"east", 2, RefusalReason::kInvalid, "one"}}));
  std::size_t lines = 0;
  for (int n = 0; n < 6000; ++n) {  // flapping for ten minutes
    now += milliseconds(100);
    clusters["east"].refusals.front().message = fmt::format("one {}", n);
    lines += log.changed(clusters, now).size();
  }
  EXPECT_LE(lines, 10U);
  // Unchanged, so there is nothing more to report.
  now += seconds(120);
  (void)log.changed(clusters, now);
  now += seconds(120);
  EXPECT_TRUE(log.changed(clusters, now).empty());
}

}  // namespace
}  // namespace cw::gateway
