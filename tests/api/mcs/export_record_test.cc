#include "api/mcs/export_record.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cw::api {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

SliceEndpoint endpoint(std::string_view address, std::string hostname = {},
                       std::optional<bool> ready = {}) {
  return {{ip(address)}, std::move(hostname), "node-1", "zone-a", ready};
}

// One export of shop/db in cluster east, whose prefixes are 10.8.0.0/16 and fd08::/32.
struct Case {
  std::string cluster = "east";
  ServiceExport wanted;
  Service service;
  std::vector<std::shared_ptr<const EndpointSlice>> slices;
  PrefixSet cidrs{std::vector<Prefix>{*Prefix::parse("10.8.0.0/16"), *Prefix::parse("fd08::/32")}};
  bool has_service = true;

  Case() {
    wanted.meta.key = {"shop", "db"};
    wanted.meta.created = WallTime(std::chrono::seconds(1'700'000'000));
    wanted.meta.generation = 3;
    service.meta.key = {"shop", "db"};
    service.spec.cluster_ips = {"10.96.0.7"};
    service.spec.ip_families = {"IPv4"};
    service.spec.ports = {{"pg", "TCP", "", 5432, "postgres"}};
  }
  void add_slice(std::vector<SliceEndpoint> endpoints, std::uint16_t port = 15432) {
    EndpointSlice slice;
    slice.meta.key = {"shop", "db-" + std::to_string(slices.size())};
    slice.endpoints = std::move(endpoints);
    slice.ports = {{"pg", "TCP", "", port}};
    slices.push_back(std::make_shared<const EndpointSlice>(std::move(slice)));
  }
  [[nodiscard]] ExportVerdict judged() const {
    return judge_export({cluster, wanted, has_service ? &service : nullptr, slices, cidrs});
  }
};

TEST(ExportRecord, CarriesTheServiceAndItsEndpoints) {
  Case c;
  c.service.spec.session_affinity = "ClientIP";
  c.service.spec.session_affinity_timeout = 60;
  c.service.spec.internal_traffic_policy = "Cluster";
  c.service.spec.traffic_distribution = "PreferClose";
  c.add_slice({endpoint("10.8.0.2", "db-1", false), endpoint("10.8.0.1")});
  const auto verdict = c.judged();
  EXPECT_EQ(verdict.valid.type, "Valid");
  EXPECT_EQ(verdict.valid.status, ConditionStatus::kTrue);
  EXPECT_EQ(verdict.valid.reason, "Valid");
  EXPECT_EQ(verdict.valid.message, "the Service is exported");
  EXPECT_EQ(verdict.valid.observed_generation, 3);
  ExportRecord want;
  want.cluster = "east";
  want.service = {"shop", "db"};
  want.exported_at = WallTime(std::chrono::seconds(1'700'000'000));
  want.ports = c.service.spec.ports;
  want.port_sets = {{{"pg", "TCP", "", 15432}}};
  want.cluster_ips = {"10.96.0.7"};
  want.ip_families = {"IPv4"};
  want.session_affinity = "ClientIP";
  want.session_affinity_timeout = 60;
  want.internal_traffic_policy = "Cluster";
  want.traffic_distribution = "PreferClose";
  want.endpoints = {{{ip("10.8.0.1")}, "10-8-0-1", "zone-a", true},
                    {{ip("10.8.0.2")}, "db-1", "zone-a", false, false}};
  EXPECT_EQ(verdict.record, want);
  EXPECT_FALSE(verdict.lacking);
}

TEST(ExportRecord, Item4_NeedsAService) {
  Case c;
  c.has_service = false;
  const auto verdict = c.judged();
  EXPECT_EQ(verdict.valid.status, ConditionStatus::kFalse);
  EXPECT_EQ(verdict.valid.reason, "NoService");
  EXPECT_EQ(verdict.valid.message, "there is no Service shop/db");
  EXPECT_FALSE(verdict.record.has_value());
}

TEST(ExportRecord, Items3And9_RefusesExternalNameAndTakesTheOtherTypes) {
  for (const auto* type : {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}) {
    Case c;
    c.service.spec.type = type;
    const bool valid = std::string_view(type) != "ExternalName";
    EXPECT_EQ(c.judged().record.has_value(), valid) << type;
    EXPECT_EQ(c.judged().valid.reason, valid ? "Valid" : "InvalidServiceType");
  }
}

TEST(ExportRecord, Item9_HeadlessHasNoClusterIp) {
  Case c;
  c.service.spec.cluster_ips = {"None"};
  const auto verdict = c.judged();
  EXPECT_TRUE(verdict.record->headless);
  EXPECT_TRUE(verdict.record->cluster_ips.empty());
}

TEST(ExportRecord, Item5_ExportsLabelsOnlyFromTheExportsSpec) {
  Case c;
  c.wanted.meta.labels = {{"own", "1"}};
  c.service.meta.labels = {{"own", "2"}};
  c.service.meta.annotations = {{"own", "3"}};
  c.wanted.spec.exported_labels = {{"team", "db"}};
  c.wanted.spec.exported_annotations = {{"note", "x"}};
  const auto record = c.judged().record;
  EXPECT_EQ(record->labels, (std::map<std::string, std::string>{{"team", "db"}}));
  EXPECT_EQ(record->annotations, (std::map<std::string, std::string>{{"note", "x"}}));
}

TEST(ExportRecord, LeavesOutEndpointsOutsideTheClusterAndSaysSo) {
  Case c;
  c.add_slice({endpoint("10.9.0.1"), endpoint("192.0.2.1"), endpoint("10.8.0.1")});
  auto mixed = endpoint("10.8.0.3");
  mixed.addresses.push_back(ip("172.16.0.1"));
  c.add_slice({mixed});
  const auto verdict = c.judged();
  ASSERT_EQ(verdict.record->endpoints.size(), 2U);
  EXPECT_EQ(verdict.record->endpoints[1].addresses, std::vector{ip("10.8.0.3")});
  EXPECT_EQ(verdict.valid.message, "the Service is exported");
  ASSERT_TRUE(verdict.lacking);
  EXPECT_EQ(verdict.lacking->type, "Reachable");
  EXPECT_EQ(verdict.lacking->status, ConditionStatus::kFalse);
  EXPECT_EQ(verdict.lacking->reason, "OutsideCidrs");
  EXPECT_EQ(verdict.lacking->message.rfind("2 of 4 endpoint(s) are not exported", 0), 0U);
  EXPECT_NE(verdict.lacking->message.find("(10.9.0.1): a pod with hostNetwork"), std::string::npos);
  c.cidrs = PrefixSet();
  EXPECT_TRUE(c.judged().record->endpoints.empty());
}

TEST(ExportRecord, MergesDuplicatesWhateverTheirOrder) {
  Case c;
  c.add_slice({endpoint("10.8.0.1", "b", false), endpoint("10.8.0.2", "z", true)});
  c.add_slice({endpoint("10.8.0.1", "a", true), endpoint("10.8.0.2", "y", true)});
  const auto one = c.judged();
  std::reverse(c.slices.begin(), c.slices.end());
  EXPECT_EQ(one, c.judged());
  ASSERT_EQ(one.record->endpoints.size(), 2U);
  EXPECT_EQ(one.record->endpoints[0].hostname, "a");
  EXPECT_TRUE(one.record->endpoints[0].ready);
  EXPECT_EQ(one.record->endpoints[1].hostname, "y");
}

TEST(ExportRecord, ReadyIsCarriedVerbatimAndAbsentMeansTrue) {
  Case c;
  c.service.spec.publish_not_ready_addresses = true;
  c.add_slice({endpoint("10.8.0.1", "", true), endpoint("10.8.0.2", "", false),
               endpoint("10.8.0.3", "", std::nullopt)});
  const auto record = c.judged().record;
  EXPECT_TRUE(record->endpoints[0].ready);
  EXPECT_FALSE(record->endpoints[1].ready);
  EXPECT_TRUE(record->endpoints[2].ready);
}

// A slice's ports are those of its own endpoints only.
TEST(ExportRecord, PortsBelongToTheEndpointsOfTheirSlice) {
  Case c;
  c.add_slice({endpoint("10.8.0.1")}, 2000);
  c.add_slice({endpoint("10.8.0.2"), endpoint("10.8.0.3")}, 1000);
  EndpointSlice only_metrics;
  only_metrics.endpoints = {endpoint("10.8.0.4")};
  only_metrics.ports = {{"metrics", "TCP", "", 9187}, {"any", "TCP", "", 0}};
  c.slices.push_back(std::make_shared<const EndpointSlice>(only_metrics));
  const auto one = c.judged();
  EXPECT_EQ(one.valid.message, "the Service is exported");
  EXPECT_EQ(one.record->port_sets, (std::vector<PortSet>{{{"metrics", "TCP", "", 9187}},
                                                         {{"pg", "TCP", "", 1000}},
                                                         {{"pg", "TCP", "", 2000}}}));
  std::vector<std::uint32_t> sets;
  for (const auto& item : one.record->endpoints) sets.push_back(item.ports);
  EXPECT_EQ(sets, (std::vector<std::uint32_t>{2, 1, 1, 0}));
  std::reverse(c.slices.begin(), c.slices.end());
  EXPECT_EQ(one, c.judged());
}

TEST(ExportRecord, APodInTwoSlicesHasThePortsOfBoth) {
  Case c;
  c.add_slice({endpoint("10.8.0.1", "a")}, 1000);
  c.add_slice({endpoint("10.8.0.1", "a")}, 2000);
  const auto record = c.judged().record;
  ASSERT_EQ(record->endpoints.size(), 2U);
  EXPECT_EQ(record->endpoints[0].ports, 0U);
  EXPECT_EQ(record->endpoints[1].ports, 1U);
}

TEST(ExportRecord, RefusesMorePortSetsThanARecordHolds) {
  Case c;
  for (std::uint16_t i = 0; i <= kMaxPortSets; ++i) {
    c.add_slice({endpoint("10.8.1." + std::to_string(i))}, static_cast<std::uint16_t>(1000 + i));
  }
  EXPECT_EQ(c.judged().valid.reason, "TooLarge");
  EXPECT_NE(c.judged().valid.message.find("65 different sets of 65 ports"), std::string::npos);
  c.slices.pop_back();
  EXPECT_EQ(c.judged().valid.reason, "Valid");
}

// As in kube-proxy, serving and terminating endpoints are the fallback if none is ready.
TEST(ExportRecord, ServingAndTerminatingTravel) {
  Case c;
  auto leaving = endpoint("10.8.0.1", "", false);
  leaving.serving = true;
  leaving.terminating = true;
  auto gone = endpoint("10.8.0.2", "", false);
  gone.terminating = true;
  c.add_slice({leaving, gone, endpoint("10.8.0.3", "", true)});
  const auto record = c.judged().record;
  EXPECT_TRUE(record->endpoints[0].fallback());
  EXPECT_FALSE(record->endpoints[0].ready);
  EXPECT_FALSE(record->endpoints[1].fallback());
  EXPECT_TRUE(record->endpoints[1].terminating);
  EXPECT_TRUE(record->endpoints[2].serving);
  EXPECT_FALSE(record->endpoints[2].terminating);
}

TEST(ExportRecord, APodWithoutAHostnameHasItsPodsNameBesides) {
  Case c;
  auto named = endpoint("10.8.0.1", "db-0");
  named.pod = "db-0";
  auto plain = endpoint("10.8.0.2");
  plain.pod = "web-5d4f-x2";
  auto dotted = endpoint("10.8.0.3");
  dotted.pod = "web.5";
  c.add_slice({named, plain, dotted});
  const auto record = c.judged().record;
  EXPECT_EQ(record->endpoints[0].pod, "");
  EXPECT_EQ(record->endpoints[1].hostname, "10-8-0-2");
  EXPECT_EQ(record->endpoints[1].pod, "web-5d4f-x2");
  EXPECT_EQ(record->endpoints[2].pod, "");
}

// The condition names the true reason.
TEST(ExportRecord, AServiceThatCannotBeReadIsNotAServiceThatIsNotThere) {
  Case c;
  const auto judged = [&c](const Service* service, std::string_view slice = {}) {
    return judge_export(
        {c.cluster, c.wanted, service, c.slices, c.cidrs, true, "metadata.x: is wrong", slice});
  };
  EXPECT_EQ(judged(nullptr).valid.reason, "UnreadableService");
  EXPECT_EQ(judged(nullptr).valid.message,
            "the Service shop/db cannot be read: metadata.x: is wrong");
  EXPECT_EQ(judged(&c.service).valid.reason, "Valid");
  EXPECT_NE(judged(&c.service).valid.message.find("the newest cannot be read"), std::string::npos);
  EXPECT_EQ(judged(&c.service, "db-1: endpoints[0]").lacking->reason, "Unreadable");
}

TEST(ExportRecord, KeepsPortsOfOneNameOnTwoProtocolsApart) {
  Case c;
  EndpointSlice slice;
  slice.endpoints = {endpoint("10.8.0.1")};
  slice.ports = {{"dns", "UDP", "", 53}, {"dns", "TCP", "", 5353}};
  c.slices.push_back(std::make_shared<const EndpointSlice>(slice));
  ASSERT_EQ(c.judged().record->port_sets.size(), 1U);
  EXPECT_EQ(c.judged().record->port_sets[0].size(), 2U);
  EXPECT_EQ(c.judged().record->endpoints.size(), 1U);
}

TEST(ExportRecord, NamesThatDnsCannotHoldBecomeTheDashedIp) {
  Case c;
  c.cluster = std::string(63, 'c');
  c.wanted.meta.key = {std::string(63, 'n'), std::string(63, 's')};
  c.service.spec.cluster_ips = {"None"};
  // 63 + 63 + 63 + 3 dots + 21 of ".svc.clusterset.local" leave 40 for the hostname.
  c.add_slice({endpoint("10.8.0.1", std::string(40, 'h')),
               endpoint("10.8.0.2", std::string(41, 'h')), endpoint("10.8.0.3", "Not_a_label")});
  const auto verdict = c.judged();
  EXPECT_EQ(verdict.record->endpoints[0].hostname, std::string(40, 'h'));
  EXPECT_EQ(verdict.record->endpoints[1].hostname, "10-8-0-2");
  EXPECT_EQ(verdict.record->endpoints[2].hostname, "10-8-0-3");
  EXPECT_EQ(
      verdict.valid.message,
      "the Service is exported; 2 hostname(s) are not usable in DNS and were replaced by the IP");
}

TEST(ExportRecord, Item21_RefusesWhatDnsCannotName) {
  Case c;
  c.wanted.meta.key.name = std::string(64, 's');
  EXPECT_EQ(c.judged().valid.reason, "InvalidName");
  Case d;
  d.cluster = "";
  EXPECT_EQ(d.judged().valid.reason, "InvalidName");
  EXPECT_FALSE(d.judged().record.has_value());
}

TEST(ExportRecord, HasLimits) {
  Case c;
  c.wanted.spec.exported_annotations = {{"a", std::string(kMaxExportMetadata, 'x')}};
  EXPECT_EQ(c.judged().valid.reason, "TooLarge");
  Case d;
  d.service.spec.ports.resize(kMaxExportPorts + 1);
  EXPECT_EQ(d.judged().valid.reason, "TooLarge");
  Case e;
  std::vector<SliceEndpoint> many;
  for (std::uint32_t i = 0; i < kMaxExportEndpoints + 10; ++i) {
    const auto address = IpAddress::v4(
        {10, 8, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i & 0xFFU)});
    many.push_back({{address}, "", "", "", i >= 20});
  }
  e.add_slice(many);
  const auto verdict = e.judged();
  ASSERT_EQ(verdict.record->endpoints.size(), kMaxExportEndpoints);
  // The ten that are missing were not ready.
  EXPECT_EQ(std::count_if(verdict.record->endpoints.begin(), verdict.record->endpoints.end(),
                          [](const auto& item) { return !item.ready; }),
            10);
  EXPECT_TRUE(std::is_sorted(verdict.record->endpoints.begin(), verdict.record->endpoints.end()));
  EXPECT_EQ(verdict.lacking->reason, "TooManyEndpoints");
  EXPECT_EQ(verdict.lacking->message.rfind("10 of 5010 endpoint(s)", 0), 0U);
}

TEST(ExportRecord, DashedIpIsALabel) {
  EXPECT_EQ(dashed_ip(ip("10.244.0.52")), "10-244-0-52");
  EXPECT_EQ(dashed_ip(ip("fd00:10:244::5")), "fd00-10-244--5");
  EXPECT_EQ(dashed_ip(ip("fd00::")), "fd00--0");
  EXPECT_EQ(dashed_ip(ip("::1")), "0--1");
  EXPECT_EQ(dashed_ip(ip("::")), "0--0");
  for (const auto* text : {"10.0.0.1", "::", "::1", "fd00::", "fd00:1:2:3:4:5:6:7"}) {
    EXPECT_TRUE(is_dns_label(dashed_ip(ip(text)))) << text;
  }
}

}  // namespace
}  // namespace cw::api
