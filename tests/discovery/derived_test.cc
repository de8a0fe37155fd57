// Derived Services and EndpointSlices; numbers are the requirements' (docs/protocol/dns.md).
#include "discovery/mcs/derived.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "api/types/codec.h"

namespace cw::discovery {
namespace {

using api::ConditionStatus;

struct Desired {
  std::map<api::ObjectKey, api::ServiceImport> imports;
  std::map<api::ObjectKey, api::Service> services;
  std::map<api::ObjectKey, api::EndpointSlice> slices;
};

struct World {
  Items<api::Namespace> namespaces;
  Items<api::Service> services;
  View view;
  std::set<std::string> families = {"IPv4"};
  std::vector<std::shared_ptr<api::ExportRecord>> records;
  std::set<std::string> stale;
  std::string own;     // the cluster whose export is this cluster's own
  std::string steers;  // the cluster whose policy is followed

  World() {
    auto ns = std::make_shared<api::Namespace>();
    ns->meta.key.name = "db";
    namespaces[ns->meta.key] = ns;
  }
  api::ExportRecord& add(const std::string& cluster, std::vector<const char*> addresses) {
    auto r = std::make_shared<api::ExportRecord>();
    r->cluster = cluster;
    r->service = {"db", "pg"};
    r->exported_at = WallTime(std::chrono::seconds(records.size() + 1));
    r->ports = {{"sql", "TCP", "", 5432, ""}};
    r->port_sets = {{{"sql", "TCP", "", 5433}}};
    r->ip_families = {"IPv4"};
    for (const auto* text : addresses) {
      const auto address = *IpAddress::parse(text);
      std::string host = text;
      std::replace(host.begin(), host.end(), '.', '-');
      r->endpoints.push_back({{address}, host, "z1", true});
    }
    records.push_back(r);
    return *r;
  }
  void allocate(std::vector<std::string> ips) {
    auto service = std::make_shared<api::Service>();
    service->meta.key = derived_key({"db", "pg"});
    service->meta.labels = {{std::string(kManagedByLabel), std::string(kManagedBy)}};
    service->spec.cluster_ips = std::move(ips);
    services[service->meta.key] = service;
  }
  Desired desired(bool derive = true) {
    std::vector<Claimant> list;
    for (const auto& one : records) {
      list.push_back({one, one->exported_at, one->cluster == own, one->cluster == steers});
    }
    view.services[{"db", "pg"}] = {std::make_shared<MergedService>(merge(list)), stale};
    Desired out;
    for (const auto& [key, service] : view.services) {
      auto one = desired_service({"east", namespaces, services, families, derive}, key, service);
      if (one.import) out.imports.emplace(key, *one.import);
      if (one.service) out.services.emplace(one.service->meta.key, *one.service);
      out.slices.merge(one.slices);
    }
    return out;
  }
};

std::map<std::string, bool> ready_addresses(const Desired& desired) {
  std::map<std::string, bool> out;
  for (const auto& [key, slice] : desired.slices) {
    for (const auto& endpoint : slice.endpoints)
      for (const auto& address : endpoint.addresses) out[address.to_string()] = endpoint.is_ready();
  }
  return out;
}

TEST(Derived, Item14_OneSlicePerClusterAndFamilyWithTheLabels) {
  World world;
  world.add("east", {"10.1.0.5", "fd01::5"});
  world.add("west", {"10.2.0.5"});
  const auto out = world.desired();
  ASSERT_EQ(out.slices.size(), 3U);
  std::set<std::string> seen;
  for (const auto& [key, slice] : out.slices) {
    EXPECT_EQ(key.ns, "db");
    EXPECT_EQ(slice.meta.labels.at("multicluster.kubernetes.io/service-name"), "pg");
    EXPECT_EQ(slice.meta.labels.at("endpointslice.kubernetes.io/managed-by"),
              "discovery.causeway.dev");
    EXPECT_EQ(slice.meta.labels.at("kubernetes.io/service-name"), derived_key({"db", "pg"}).name);
    seen.insert(slice.meta.labels.at("multicluster.kubernetes.io/source-cluster") + " " +
                slice.address_type);
    ASSERT_EQ(slice.ports.size(), 1U);
    EXPECT_EQ(slice.ports[0].port, 5433);  // the port on which the pods listen
  }
  EXPECT_EQ(seen, (std::set<std::string>{"east IPv4", "east IPv6", "west IPv4"}));
}

TEST(Derived, Item14_SlicesHoldAThousandEndpointsAtMost) {
  World world;
  auto& record = world.add("west", {});
  for (std::uint8_t a = 0; a < 20; ++a) {
    for (std::uint8_t b = 0; b < 250; ++b) {
      record.endpoints.push_back({{IpAddress::v4({10, 2, a, b})}, "h", "", true});
    }
  }
  const auto out = world.desired();
  ASSERT_EQ(out.slices.size(), 5U);
  for (const auto& [key, slice] : out.slices) EXPECT_EQ(slice.endpoints.size(), 1000U);
}

TEST(Derived, Item10_TheServiceHasNoSelectorAndThePortsOfAllClusters) {
  World world;
  world.add("east", {"10.1.0.5"});
  world.add("west", {"10.2.0.5"}).ports.push_back({"metrics", "TCP", "", 9187, ""});
  const auto out = world.desired();
  ASSERT_EQ(out.services.size(), 1U);
  const auto& spec = out.services.begin()->second.spec;
  EXPECT_TRUE(spec.selector.empty());
  EXPECT_EQ(spec.type, "ClusterIP");
  ASSERT_EQ(spec.ports.size(), 2U);
  EXPECT_EQ(spec.ports[1].name, "metrics");
}

// "Traffic to a port only to clusters exposing it": a slice lists its own cluster's ports.
TEST(Derived, PortsAreStrictPerCluster) {
  World world;
  world.add("east", {"10.1.0.5"});
  auto& west = world.add("west", {"10.2.0.5"});
  west.ports = {{"pgsql", "TCP", "", 5432, ""}, {"metrics", "TCP", "", 9187, ""}};
  west.port_sets = {{{"pgsql", "TCP", "", 6000}, {"metrics", "TCP", "", 9187}}};
  const auto out = world.desired();
  for (const auto& [key, slice] : out.slices) {
    const bool east = slice.meta.labels.at(std::string(api::kSourceClusterLabel)) == "east";
    ASSERT_EQ(slice.ports.size(), east ? 1U : 2U);
    // The same number under another name is the merged port (item "ports": name, then number).
    EXPECT_EQ(slice.ports[0].name, "sql");
    EXPECT_EQ(slice.ports[0].port, east ? 5433 : 6000);
  }
}

// The winner's number leads only to clusters that expose that number.
TEST(Derived, APortNameWithAnotherNumberLeadsNowhere) {
  World world;
  world.add("east", {"10.1.0.5"});
  auto& west = world.add("west", {"10.2.0.5"});
  west.ports = {{"sql", "TCP", "", 15432, ""}};
  const auto only = [&] {
    std::set<std::string> out;
    for (const auto& [address, is] : ready_addresses(world.desired())) out.insert(address);
    return out;
  };
  EXPECT_EQ(world.desired().services.begin()->second.spec.ports.size(), 1U);
  EXPECT_EQ(only(), std::set<std::string>{"10.1.0.5"});
  // The number under another name is exposed, whatever the winner's name is there.
  west.ports.push_back({"pgsql", "TCP", "", 5432, ""});
  west.port_sets = {{{"pgsql", "TCP", "", 6000}, {"sql", "TCP", "", 7000}}};
  const auto out = world.desired();
  EXPECT_EQ(only().size(), 2U);
  for (const auto& [key, slice] : out.slices) {
    ASSERT_EQ(slice.ports.size(), 1U);
    EXPECT_EQ(slice.ports[0].port,
              slice.endpoints[0].addresses[0].to_string() == "10.2.0.5" ? 6000 : 5433);
  }
}

TEST(Derived, AnEndpointIsBehindThePortsThatItListensOn) {
  World world;
  auto& west = world.add("west", {"10.2.0.5", "10.2.0.6", "10.2.0.7"});
  west.ports = {{"a", "TCP", "", 1, ""}, {"b", "TCP", "", 2, ""}};
  west.port_sets = {{}, {{"a", "TCP", "", 1001}}, {{"b", "TCP", "", 1002}}};
  west.endpoints[0].ports = 1;
  west.endpoints[1].ports = 2;  // 10.2.0.7 has neither
  std::map<std::string, std::vector<api::SlicePort>> found;
  for (const auto& [key, slice] : world.desired().slices) {
    ASSERT_EQ(slice.endpoints.size(), 1U);
    found[slice.endpoints[0].addresses[0].to_string()] = slice.ports;
  }
  EXPECT_EQ(found,
            (std::map<std::string, std::vector<api::SlicePort>>{
                {"10.2.0.5", {{"a", "TCP", "", 1001}}}, {"10.2.0.6", {{"b", "TCP", "", 1002}}}}));
}

// A rollout with pods of other ports leaves the slices of the earlier pods unchanged.
TEST(Derived, SlicesOfOtherPortsComeAndGoBesideEachOther) {
  World world;
  auto& west = world.add("west", {"10.2.0.5", "10.2.0.6"});
  const auto before = world.desired().slices;
  ASSERT_EQ(before.size(), 1U);
  west.port_sets = {{{"sql", "TCP", "", 1000}}, {{"sql", "TCP", "", 5433}}};
  west.endpoints[0].ports = 1;
  const auto after = world.desired().slices;
  ASSERT_EQ(after.size(), 2U);
  ASSERT_EQ(after.count(before.begin()->first), 1U);
  EXPECT_EQ(after.at(before.begin()->first).ports, before.begin()->second.ports);
}

// kube-proxy falls back to these endpoints if none is ready.
TEST(Derived, ServingAndTerminatingAreInTheSlices) {
  World world;
  world.add("east", {"10.1.0.5"}).endpoints[0].ready = false;
  auto& west = world.add("west", {"10.2.0.5"}).endpoints[0];
  west.ready = false;
  west.terminating = true;
  const auto endpoint = [&](const std::string& cluster) {
    for (const auto& [key, slice] : world.desired().slices) {
      if (slice.meta.labels.at(std::string(api::kSourceClusterLabel)) == cluster)
        return slice.endpoints.at(0);
    }
    return api::SliceEndpoint{};
  };
  EXPECT_EQ(endpoint("west").ready, false);
  EXPECT_EQ(endpoint("west").serving, true);
  EXPECT_EQ(endpoint("west").terminating, true);
  EXPECT_EQ(endpoint("east").terminating, false);
  world.stale = {"west"};
  EXPECT_EQ(endpoint("west").serving, false) << "an away cluster is no fallback";
}

TEST(Derived, WithoutAReadyEndpointFailoverTakesTheFirstThatStillServes) {
  World world;
  world.own = "east";
  auto& east = world.add("east", {"10.1.0.5"});
  east.annotations = {{std::string(api::kFailover), "east,west"}};
  auto& west = world.add("west", {"10.2.0.5"});
  const std::string here = "east";
  const auto serving = [&] {
    (void)world.desired();
    const auto& merged = *world.view.services.begin()->second.merged;
    return api::serving_of(merged.serving(world.stale, here), api::Access::kVirtualIp).clusters;
  };
  const std::set<std::string> in_east{"east"};
  const std::set<std::string> in_west{"west"};
  EXPECT_EQ(serving(), in_east);
  east.endpoints[0].ready = false;
  east.endpoints[0].terminating = true;
  EXPECT_EQ(serving(), in_west) << "a ready one elsewhere is better";
  west.endpoints[0].ready = false;
  EXPECT_EQ(serving(), in_east);
  east.endpoints[0].serving = false;
  EXPECT_EQ(serving(), (std::set<std::string>{"east", "west"}));
}

TEST(Derived, Item9_AHeadlessServiceHasSlicesAndNoVip) {
  World world;
  world.add("west", {"10.2.0.5"}).headless = true;
  const auto out = world.desired();
  EXPECT_TRUE(out.services.empty());
  ASSERT_EQ(out.slices.size(), 1U);
  EXPECT_EQ(out.slices.begin()->second.meta.labels.count("kubernetes.io/service-name"), 0U);
  const auto& import = out.imports.begin()->second;
  EXPECT_EQ(import.spec.type, "Headless");
  EXPECT_TRUE(import.spec.ips.empty());
  EXPECT_EQ(import.status.conditions[0].status, ConditionStatus::kTrue);
}

TEST(Derived, Items10And11_TheImportHasTheServicesAddressesAndFamilies) {
  World world;
  world.add("west", {"10.2.0.5"});
  EXPECT_EQ(world.desired().imports.begin()->second.status.conditions[0].reason, "Pending");
  world.allocate({"fd00::9", "10.96.0.9"});
  const auto import = world.desired().imports.begin()->second;
  EXPECT_EQ(import.spec.ips, (std::vector<std::string>{"fd00::9", "10.96.0.9"}));
  EXPECT_EQ(import.spec.ip_families, (std::vector<std::string>{"IPv6", "IPv4"}));
  EXPECT_EQ(import.status.conditions[0].status, ConditionStatus::kTrue);
}

TEST(Derived, Item12_AFamilyThatPodsHereLackIsSaidAndDerivesNothing) {
  World world;
  world.add("west", {"fd02::5"}).ip_families = {"IPv6"};
  const auto out = world.desired();
  EXPECT_EQ(out.imports.begin()->second.status.conditions[0].reason, "IPFamilyNotSupported");
  EXPECT_TRUE(out.services.empty());
  EXPECT_TRUE(out.slices.empty());
}

TEST(Derived, Item13_TheStatusListsClustersAndSaysWhetherThereAreSlices) {
  World world;
  world.add("west", {"10.2.0.5"});
  world.add("east", {"10.1.0.5"});
  const auto on = world.desired().imports.begin()->second.status;
  EXPECT_EQ(on.clusters, (std::vector<std::string>{"east", "west"}));
  EXPECT_EQ(on.endpoint_slice_objects, "Present");
  EXPECT_EQ(world.desired(false).imports.begin()->second.status.endpoint_slice_objects, "Absent");
  EXPECT_TRUE(world.desired(false).slices.empty());
}

TEST(Derived, Item15_EndpointsOfAClusterThatIsAwayAreNotReady) {
  World world;
  world.add("east", {"10.1.0.5"});
  world.add("west", {"10.2.0.5"});
  world.stale = {"west"};
  EXPECT_EQ(ready_addresses(world.desired()),
            (std::map<std::string, bool>{{"10.1.0.5", true}, {"10.2.0.5", false}}));
  world.stale = {};
  EXPECT_TRUE(ready_addresses(world.desired()).at("10.2.0.5"));
}

TEST(Derived, PreferLocalThenTheOrderThenAll) {
  World world;
  world.steers = "north";
  auto& north = world.add("north", {"10.3.0.5"});
  north.annotations = {{std::string(api::kPrefer), "local"},
                       {std::string(api::kFailover), "west, north"}};
  auto& east = world.add("east", {"10.1.0.5"});
  auto& west = world.add("west", {"10.2.0.5"});
  const auto ready = [&] {
    std::set<std::string> out;
    for (const auto& [address, is] : ready_addresses(world.desired()))
      if (is) out.insert(address);
    return out;
  };
  EXPECT_EQ(ready(), std::set<std::string>{"10.1.0.5"});
  east.endpoints[0].ready = false;
  EXPECT_EQ(ready(), std::set<std::string>{"10.2.0.5"});
  world.stale = {"west"};
  EXPECT_EQ(ready(), std::set<std::string>{"10.3.0.5"});
  west.endpoints.clear();
  north.annotations.clear();
  east.endpoints[0].ready = true;
  EXPECT_EQ(ready(), (std::set<std::string>{"10.1.0.5", "10.3.0.5"}));
}

// Once a peer with the oldest date, true or not, could take all traffic by an annotation.
TEST(Derived, OnlyTheOwnExportOrAFollowedClusterDecidesWhichServe) {
  World world;
  auto& west = world.add("west", {"10.2.0.5"});
  west.annotations = {{std::string(api::kFailover), "west"}, {"note", "w"}};
  west.labels = {{"from", "west"}};
  auto& east = world.add("east", {"10.1.0.5"});
  east.annotations = {{"note", "e"}};
  const auto serving = [&] {
    std::set<std::string> out;
    for (const auto& [address, is] : ready_addresses(world.desired()))
      if (is) out.insert(address);
    return out;
  };
  const std::set<std::string> both{"10.1.0.5", "10.2.0.5"};
  using Metadata = std::map<std::string, std::string>;
  EXPECT_EQ(serving(), both) << "without an own export no cluster is followed unasked";
  auto meta = world.desired().imports.begin()->second.meta;
  EXPECT_EQ(meta.annotations, (Metadata{{"note", "w"}})) << "and its policy is not shown as ours";
  EXPECT_EQ(meta.labels, (Metadata{{"from", "west"}}));
  world.steers = "west";
  EXPECT_EQ(serving(), std::set<std::string>{"10.2.0.5"});
  EXPECT_EQ(world.desired().imports.begin()->second.meta.annotations, west.annotations);
  world.own = "east";
  EXPECT_EQ(serving(), both) << "the own export decides, also beside older or followed ones";
  meta = world.desired().imports.begin()->second.meta;
  EXPECT_EQ(meta.annotations, east.annotations);
  EXPECT_TRUE(meta.labels.empty());
  east.annotations = {{std::string(api::kFailover), "east,west"}};
  EXPECT_EQ(serving(), std::set<std::string>{"10.1.0.5"});
}

TEST(Derived, WhatTheApiServerFillsInIsNoDifference) {
  World world;
  world.add("west", {"10.2.0.5"});
  const auto wanted = world.desired().services.begin()->second;
  auto stored = wanted;
  stored.spec.cluster_ips = {"10.96.0.9"};
  stored.spec.internal_traffic_policy = "Cluster";
  stored.meta.uid = "u";
  EXPECT_EQ(overlaid(stored, wanted), stored);
  stored.spec.ports[0].port = 1;
  EXPECT_FALSE(overlaid(stored, wanted) == stored);
  const auto mended = overlaid(stored, wanted);
  EXPECT_EQ(mended.spec.cluster_ips, stored.spec.cluster_ips);
  EXPECT_EQ(overlaid(mended, wanted), mended);
}

TEST(Derived, ServicesAndSlicesSurviveTheirCodec) {
  World world;
  world.add("west", {"10.2.0.5"}).session_affinity = "ClientIP";
  const auto out = world.desired();
  const auto service = api::decode<api::Service>(api::encode(out.services.begin()->second));
  ASSERT_TRUE(service);
  EXPECT_EQ(*service, out.services.begin()->second);
  const auto slice = api::decode<api::EndpointSlice>(api::encode(out.slices.begin()->second));
  ASSERT_TRUE(slice);
  EXPECT_EQ(*slice, out.slices.begin()->second);
}

TEST(Derived, ATimeoutWithoutClientIPIsLeftOut) {
  World world;
  auto& record = world.add("west", {"10.2.0.5"});
  record.session_affinity_timeout = 60;
  EXPECT_FALSE(world.desired().services.begin()->second.spec.session_affinity_timeout);
  record.session_affinity = "ClientIP";
  EXPECT_EQ(world.desired().services.begin()->second.spec.session_affinity_timeout, 60);
}

TEST(Derived, AnotherOwnersServiceOfThatNameIsNotOurs) {
  World world;
  world.add("west", {"10.2.0.5"});
  world.allocate({"10.96.0.9"});
  auto foreign = *world.services.begin()->second;
  foreign.meta.labels.clear();
  world.services.begin()->second = std::make_shared<api::Service>(foreign);
  EXPECT_TRUE(world.desired().imports.begin()->second.spec.ips.empty());
}

// Items 2 and 16 to 18 over any number of clusters: all clusters compute the same result, in any
// order of arrival.
TEST(Derived, Items2And17_AllClustersComputeTheSameInAnyOrder) {
  std::mt19937 random(7);
  const auto pick = [&](unsigned n) { return random() % n; };
  for (int round = 0; round < 200; ++round) {
    World world;
    for (unsigned i = 0; i < 1 + pick(8); ++i) {
      auto& r = world.add("c" + std::to_string(i), {"10.1.0.5"});
      r.exported_at = WallTime(std::chrono::seconds(pick(3)));
      r.headless = pick(3) == 0;
      r.session_affinity = pick(2) == 0 ? "None" : "ClientIP";
      if (pick(2) == 0) r.session_affinity_timeout = static_cast<int>(pick(3)) + 1;
      r.internal_traffic_policy = pick(2) == 0 ? "Cluster" : "Local";
      r.traffic_distribution = pick(2) == 0 ? "" : "PreferClose";
      if (pick(2) == 0) r.labels["a"] = std::to_string(pick(2));
      if (pick(2) == 0) r.annotations[std::string(api::kPrefer)] = "local";
      if (pick(2) == 0) r.ip_families = {"IPv4", "IPv6"};
      for (unsigned p = 0; p < pick(4); ++p) {
        r.ports.push_back({"p" + std::to_string(pick(3)), pick(2) == 0 ? "TCP" : "UDP", "",
                           static_cast<std::uint16_t>(pick(4) + 1), ""});
      }
    }
    const auto here = world.desired();
    std::shuffle(world.records.begin(), world.records.end(), random);
    const auto there = world.desired();
    EXPECT_EQ(here.imports, there.imports);
    EXPECT_EQ(here.services, there.services);
    EXPECT_EQ(here.slices, there.slices);
  }
}

// The table of conflicts, one row each: the oldest wins, and the condition names the reason.
TEST(Derived, Item16_EachFieldHasItsReason) {
  using Change = std::function<void(api::ExportRecord&)>;
  const std::vector<std::pair<std::string, Change>> rows = {
      {"PortConflict", [](auto& r) { r.ports[0].port = 1; }},
      {"TypeConflict", [](auto& r) { r.headless = true; }},
      {"SessionAffinityConflict", [](auto& r) { r.session_affinity = "ClientIP"; }},
      {"SessionAffinityConfigConflict", [](auto& r) { r.session_affinity_timeout = 5; }},
      {"InternalTrafficPolicyConflict", [](auto& r) { r.internal_traffic_policy = "Local"; }},
      {"TrafficDistributionConflict", [](auto& r) { r.traffic_distribution = "PreferClose"; }},
      {"LabelsConflict", [](auto& r) { r.labels["a"] = "b"; }},
      {"AnnotationsConflict", [](auto& r) { r.annotations["a"] = "b"; }},
      {"IPFamilyConflict", [](auto& r) { r.ip_families = {"IPv6"}; }},
  };
  for (const auto& [reason, change] : rows) {
    World world;
    world.add("west", {"10.2.0.5"});
    const auto alone = world.desired().imports.begin()->second.spec;
    change(world.add("east", {"10.1.0.5"}));
    const auto both = world.desired();
    const auto& merged = *world.view.services.begin()->second.merged;
    ASSERT_TRUE(merged.conflict) << reason;
    EXPECT_EQ(merged.conflict->reasons, reason);
    EXPECT_NE(merged.conflict->message.find("1/2 clusters"), std::string::npos);
    EXPECT_EQ(both.imports.begin()->second.spec, alone) << reason;
  }
}

}  // namespace
}  // namespace cw::discovery
