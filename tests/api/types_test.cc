#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "api/dir/yaml.h"
#include "api/types/base64.h"
#include "api/types/codec.h"

namespace cw::api {
namespace {

using nlohmann::json;

Prefix p(const char* text) { return *Prefix::parse(text); }
IpAddress ip(const char* text) { return *IpAddress::parse(text); }

template <typename T>
void expect_round_trip(T object) {
  object.meta.key.name = "name";
  object.meta.key.ns = info(T::kKind).namespaced ? "ns" : "";
  object.meta.uid = "u";
  object.meta.generation = 3;
  object.meta.created = WallTime(std::chrono::seconds(1'700'000'000));
  object.meta.labels["l"] = "v";
  const auto body = encode(object);
  EXPECT_EQ(body["kind"], info(T::kKind).name);
  EXPECT_EQ(body["apiVersion"], info(T::kKind).api_version);
  const auto back = decode<T>(body);
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_TRUE(*back == object) << body.dump(1);
  // Also through YAML text, as the directory store keeps it.
  const auto yaml = parse_yaml(to_yaml(body), "x");
  ASSERT_TRUE(yaml) << yaml.error().text;
  EXPECT_TRUE(*decode<T>(*yaml) == object) << to_yaml(body);
}

const Condition kCondition{"Ready", ConditionStatus::kFalse,          "Why", "a: \"b\"\nc",
                           2,       WallTime(std::chrono::seconds(5))};

TEST(Codec, EveryKindRoundTripsThroughJsonAndYaml) {
  ClusterPeer peer;
  peer.spec = {
      "east", {{1, "key", {*Endpoint::parse("[2001:db8::1]:4500")}}}, {p("10.0.0.0/8")}, "psk"};
  peer.status = {{p("10.1.0.0/16")},
                 {{"east-worker-0", {p("10.1.0.0/16")}}},
                 {{peer.spec.gateways[0], true, "east-gateway-1"}},
                 true,
                 {kCondition}};
  peer.spec.imports = std::vector<ImportRule>{{"data", "pg", true, true}, {"*", "*", false, false}};
  expect_round_trip(peer);
  peer.spec.unpaired = true;
  peer.spec.gateways.clear();
  expect_round_trip(peer);

  TunnelGateway gateway;
  gateway.spec = {
      1, "node", ip("192.0.2.1"), "key", {*Endpoint::parse("192.0.2.1:4500")}, ip("fd00::1")};
  gateway.status.driver = "kernel";
  gateway.status.tunnels.push_back({"west",
                                    0,
                                    "up",
                                    "speaks probe version 4; this side speaks 3",
                                    "192.0.2.9:4500",
                                    1.5,
                                    0.25,
                                    0.125,
                                    WallTime(std::chrono::seconds(7)),
                                    1,
                                    2,
                                    {p("fd00::/64")}});
  gateway.status.conditions = {kCondition};
  expect_round_trip(gateway);

  RouteAgent agent;
  agent.spec = {"worker-0", std::string(43, 'A') + "=",
                RouteAgent::Overlay{"1.0", "wireguard", 4794}};
  agent.status = {{{"west", -1, "none is up", WallTime(std::chrono::seconds(9))}},
                  {{1, "up", 0.5, 0}},
                  7,
                  {"route: EPERM"},
                  {kCondition},
                  {"west"}};
  expect_round_trip(agent);

  RemoteExport remote;
  remote.spec.cluster = "east";
  remote.spec.service = {"ns", "db"};
  remote.spec.exported_at = WallTime(std::chrono::seconds(11));
  remote.spec.headless = true;
  remote.spec.ports = {{"sql", "TCP", "", 5432, "5433"}, {"ui", "TCP", "http", 80, "web"}};
  remote.spec.port_sets = {
      {{"sql", "TCP", "", 5433}, {"ui", "TCP", "http", 8080}}, {{"sql", "TCP", "", 5434}}, {}};
  remote.spec.cluster_ips = {"10.96.0.9", "fd00::9"};
  remote.spec.ip_families = {"IPv4", "IPv6"};
  remote.spec.internal_traffic_policy = "Local";
  remote.spec.traffic_distribution = "PreferClose";
  remote.spec.annotations["c"] = "d";
  remote.spec.session_affinity = "ClientIP";
  remote.spec.session_affinity_timeout = 60;
  remote.spec.labels["a"] = "b";
  remote.spec.endpoints = {{{ip("10.1.0.1"), ip("fd00::1")}, "db-0", "z", false, false},
                           {{ip("10.1.0.2")}, "10-1-0-2", "", false, true, true, 1, "db-1"},
                           {{ip("10.1.0.3")}, "10-1-0-3", "", true, false, false, 2}};
  expect_round_trip(remote);
  remote.kept_out = true;
  expect_round_trip(remote);

  ServiceExport service_export;
  service_export.spec.exported_labels["x"] = "true";  // a string that looks like a boolean
  service_export.status.conditions = {kCondition};
  expect_round_trip(service_export);

  ServiceImport service_import;
  service_import.spec.type = "ClusterSetIP";
  service_import.spec.ports = {{"a", "UDP", "http", 1, ""}};
  service_import.spec.ips = {"10.96.0.1"};
  service_import.spec.session_affinity_timeout = 5;
  service_import.status = {{"east", "west"}, {kCondition}, "Absent"};
  expect_round_trip(service_import);

  ClusterProperty property;
  property.value = "0123";  // a string that looks like a number
  expect_round_trip(property);

  Service service;
  service.spec.cluster_ips = {"None"};
  service.spec.ports = {{"a", "TCP", "", 80, "8080"}, {"b", "UDP", "", 53, "dns"}};
  service.spec.publish_not_ready_addresses = true;
  expect_round_trip(service);

  EndpointSlice slice;
  slice.endpoints = {{{ip("10.1.0.1")}, "db-0", "n", "z", false},
                     {{ip("10.1.0.2")}, "", "", "", {}},
                     {{ip("10.1.0.3")}, "", "", "", false, true, true, "db-7f"}};
  slice.ports = {{"a", "TCP", "", 80}};
  expect_round_trip(slice);

  Node node;
  node.pod_cidrs = {p("10.1.0.0/24"), p("fd00::/64")};
  node.internal_ips = {ip("192.0.2.1")};
  node.external_ips = {ip("203.0.113.1")};
  node.ready = false;
  expect_round_trip(node);

  expect_round_trip(Namespace{});
  expect_round_trip(
      ServiceCidr{{}, {*Prefix::parse("10.96.0.0/16"), *Prefix::parse("fd00::/112")}});
  Secret secret;
  secret.data["k"] = std::string("\0\xff", 2);
  expect_round_trip(secret);
  Lease lease{{},
              "me",
              15,
              WallTime(std::chrono::microseconds(1'000'001)),
              WallTime(std::chrono::microseconds(2'999'999)),
              4};
  expect_round_trip(lease);
}

template <typename T>
std::string problem(const std::string& yaml) {
  const auto body = parse_yaml(yaml, "f");
  if (!body) return body.error().text;
  const auto object = decode<T>(*body);
  return object ? "" : object.error().text;
}

TEST(Codec, AnEndpointThatIsNoneCostsNothingElse) {
  const auto body = parse_yaml(
      "metadata: {name: a}\nspec: {clusterId: a, gateways: [{ordinal: 0, publicKey: x, endpoints: "
      "[lb.example.com:4500, nowhere, 192.0.2.1:4500]}], allowedCidrs: []}",
      "test");
  ASSERT_TRUE(body);
  const auto peer = decode<ClusterPeer>(*body);
  ASSERT_TRUE(peer) << peer.error().text;
  const auto& gateway = peer->spec.gateways.at(0);
  EXPECT_EQ(gateway.endpoints, (std::vector<Contact>{*Contact::parse("lb.example.com:4500"),
                                                     *Contact::parse("192.0.2.1:4500")}));
  EXPECT_EQ(gateway.unusable_endpoints, std::vector<std::string>{"nowhere"});
  expect_round_trip(*peer);
}

// Node ports and the status matter only to the gateway that is behind the Service. Two clusters
// that export one Service have different node ports, so these are no part of its ports.
TEST(Codec, AServiceTellsItsNodePortsAndItsLoadBalancer) {
  const auto body = parse_yaml(
      "metadata: {name: g, namespace: n}\nspec: {type: LoadBalancer, ports: [{name: a, port: 1}, "
      "{name: t, protocol: UDP, port: 4500, nodePort: 31000}]}\n"
      "status: {loadBalancer: {ingress: [{ip: 203.0.113.7}, {hostname: lb.example.com}]}}",
      "test");
  ASSERT_TRUE(body);
  const auto service = decode<Service>(*body);
  ASSERT_TRUE(service) << service.error().text;
  EXPECT_EQ(service->spec.node_ports, (std::vector<std::uint16_t>{0, 31000}));
  ASSERT_EQ(service->ingress.size(), 2U);
  EXPECT_EQ(service->ingress[0].ip, "203.0.113.7");
  EXPECT_EQ(service->ingress[1].hostname, "lb.example.com");
  expect_round_trip(*service);
  const auto plain =
      parse_yaml("metadata: {name: g, namespace: n}\nspec: {ports: [{port: 1}]}", "t");
  EXPECT_TRUE(decode<Service>(*plain)->spec.node_ports.empty());
}

TEST(Codec, AnAllowedPrefixThatIsNoneCostsNothingElse) {
  const auto body = parse_yaml(
      "metadata: {name: a}\nspec: {clusterId: a, gateways: [{ordinal: 0, publicKey: x}], "
      "allowedCidrs: [10.0.0.0/99, 10.1.0.0/16]}",
      "test");
  ASSERT_TRUE(body);
  const auto peer = decode<ClusterPeer>(*body);
  ASSERT_TRUE(peer) << peer.error().text;
  EXPECT_EQ(peer->spec.allowed_cidrs, std::vector<Prefix>{*Prefix::parse("10.1.0.0/16")});
  EXPECT_EQ(peer->spec.unusable_cidrs, std::vector<std::string>{"10.0.0.0/99"});
  expect_round_trip(*peer);
}

TEST(Codec, ProblemsNameTheField) {
  EXPECT_EQ(problem<ClusterPeer>("spec: {}"), "metadata: is missing");
  EXPECT_EQ(problem<ClusterPeer>("metadata: {name: a}"), "spec: is missing");
  EXPECT_EQ(problem<TunnelGateway>(
                "metadata: {name: a}\nspec: {node: n, publicKey: k, endpoints: [1.2.3.4]}"),
            "spec.endpoints: \"1.2.3.4\" is not an endpoint; write 192.0.2.1:4500, "
            "[2001:db8::1]:4500 or gw0.example.com:4500");
  EXPECT_EQ(
      problem<ClusterPeer>("metadata: {name: a}\nspec: {clusterId: a, gateways: [{ordinal: -1, "
                           "publicKey: x}]}"),
      "spec.gateways[0].ordinal: want a whole number from 0 to 4294967295");
  EXPECT_EQ(
      problem<Node>("metadata: {name: a}\nspec: {podCIDRs: [10.1.1.0/16]}"),
      "spec.podCIDRs: \"10.1.1.0/16\" has bits set beyond its length; the network is 10.1.0.0/16");
  EXPECT_EQ(problem<Service>("metadata: {name: a}\nspec: {ports: [{port: 70000}]}"),
            "spec.ports[0].port: want a whole number from 0 to 65535");
  EXPECT_EQ(problem<Secret>("metadata: {name: a}\ndata: {k: '!'}"), "data: k: not base64");
  EXPECT_EQ(problem<Namespace>("[]"), "object: want an object");
  EXPECT_EQ(problem<Namespace>("metadata: {name: a}\nsomething: new"), "");  // newer peers' fields
}

TEST(Yaml, RefusesWhatOnlyTroubleUses) {
  EXPECT_EQ(parse_yaml("a: &x 1\nb: *x\n", "f").error().text, "f:1: anchors are not allowed");
  EXPECT_EQ(parse_yaml("a: 1\na: 2\n", "f").error().text, "f:2: duplicate key \"a\"");
  EXPECT_EQ(parse_yaml("a: !!binary x\n", "f").error().text, "f:1: tags are not allowed");
  EXPECT_EQ(parse_yaml("", "f").error().text, "f:1: is empty");
  EXPECT_EQ(parse_yaml("a: 1\n---\nb: 2\n", "f").error().text,
            "f: has several documents; only one per file is allowed");
  EXPECT_EQ(parse_yaml(std::string(100, '['), "f").error().code, Errc::kInvalid);
  EXPECT_EQ(parse_yaml(std::string(2U << 20U, 'a'), "f").error().code, Errc::kTooLarge);
}

TEST(Yaml, PlainScalarsHaveJsonTypesAndQuotedOnesAreStrings) {
  const auto value =
      *parse_yaml("[1, -2, 1.5, true, ~, '1', \"true\", 10.0.0.0/8, 0x10, 1e3]", "f");
  EXPECT_EQ(value, (json{1, -2, 1.5, true, nullptr, "1", "true", "10.0.0.0/8", "0x10", 1000.0}));
}

TEST(Meta, TimesAreRfc3339) {
  EXPECT_EQ(format_time(WallTime(std::chrono::seconds(1'767'323'045))), "2026-01-02T03:04:05Z");
  EXPECT_EQ(*parse_time("2026-01-02T04:04:05.25+01:00"),
            WallTime(std::chrono::seconds(1'767'323'045) + std::chrono::milliseconds(250)));
  for (const auto* bad : {"", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05",
                          "2026-02-30T03:04:05Z", "x026-01-02T03:04:05Z"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

TEST(Meta, AConditionKeepsItsTransitionTimeUntilItsStatusChanges) {
  std::vector<Condition> conditions;
  const WallTime first(std::chrono::seconds(100));
  EXPECT_TRUE(set_condition(conditions, {"Ready", ConditionStatus::kTrue, "A", "m", 1, {}}, first));
  EXPECT_FALSE(set_condition(conditions, {"Ready", ConditionStatus::kTrue, "A", "m", 1, {}},
                             first + std::chrono::seconds(5)));
  EXPECT_TRUE(set_condition(conditions, {"Ready", ConditionStatus::kTrue, "B", "m", 1, {}},
                            first + std::chrono::seconds(5)));
  EXPECT_EQ(conditions[0].last_transition, first);
  EXPECT_TRUE(set_condition(conditions, {"Ready", ConditionStatus::kFalse, "B", "m", 1, {}},
                            first + std::chrono::seconds(9)));
  EXPECT_EQ(conditions[0].last_transition, first + std::chrono::seconds(9));
}

TEST(Meta, DnsLabels) {
  for (const auto* good : {"a", "east", "a-1", "0"}) EXPECT_TRUE(is_dns_label(good)) << good;
  for (const auto* bad : {"", "-a", "a-", "A", "a.b", "a_b"})
    EXPECT_FALSE(is_dns_label(bad)) << bad;
  EXPECT_TRUE(is_dns_label(std::string(63, 'a')));
  EXPECT_FALSE(is_dns_label(std::string(64, 'a')));
}

TEST(Base64, IsStrict) {
  EXPECT_EQ(encode_base64("abcd"), "YWJjZA==");
  EXPECT_EQ(*decode_base64("YWJjZA=="), "abcd");
  EXPECT_EQ(*decode_base64(""), "");
  for (const auto* bad : {"YWJjZA", "YWJjZA= =", "YWJj\nZA=", "=", "====", "YW=jZA=="}) {
    EXPECT_FALSE(decode_base64(bad)) << bad;
  }
}

// Kubernetes allows annotations of 256 KiB.
TEST(Types, TakesAnnotationsAsLargeAsKubernetesDoes) {
  nlohmann::json body{{"metadata", {{"name", "ann"}, {"namespace", "data"}}}};
  body["metadata"]["annotations"]["last-applied"] = std::string(256 << 10, 'x');
  EXPECT_TRUE(decode<Service>(body));
  body["metadata"]["annotations"]["last-applied"] = std::string((256 << 10) + 1, 'x');
  const auto refused = decode<Service>(body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "metadata.annotations: a value is longer than 262144 bytes");
}

TEST(Types, OnePortSetIsWrittenAsOneMinorVersionBeforeReadsIt) {
  auto body = nlohmann::json::parse(R"({"metadata":{"name":"db.west","namespace":"shop"},
    "spec":{"cluster":"west","service":"db","targetPorts":[{"name":"sql","port":5433,"protocol":"TCP"}],
    "endpoints":[{"addresses":["10.2.0.1"],"hostname":"h","ready":true}]}})");
  auto remote = decode<RemoteExport>(body);
  ASSERT_TRUE(remote) << remote.error().text;
  EXPECT_EQ(remote->spec.port_sets, (std::vector<PortSet>{{{"sql", "TCP", "", 5433}}}));
  auto written = encode(*remote)["spec"];
  EXPECT_EQ(written["targetPorts"], body["spec"]["targetPorts"]);
  EXPECT_FALSE(written.contains("portSets"));
  remote->spec.port_sets.push_back({{"sql", "TCP", "", 5434}});
  written = encode(*remote)["spec"];
  EXPECT_EQ(written["targetPorts"], body["spec"]["targetPorts"]) << "the first one";
  EXPECT_EQ(written["portSets"].size(), 2U);
}

TEST(Types, AnEndpointOfNoPortSetIsRefused) {
  auto body = nlohmann::json::parse(R"({"metadata":{"name":"db.west","namespace":"shop"},
    "spec":{"cluster":"west","service":"db","portSets":[{"ports":[]}],
    "endpoints":[{"addresses":["10.2.0.1"],"hostname":"h","portSet":0}]}})");
  EXPECT_TRUE(decode<RemoteExport>(body));
  body["spec"]["endpoints"][0]["portSet"] = 1U;
  EXPECT_EQ(decode<RemoteExport>(body).error().text,
            "spec.endpoints[0].portSet: there is no such port set");
}

TEST(Types, ConditionsOfEndpointsHaveTheirDefaults) {
  const auto slice = decode<EndpointSlice>(nlohmann::json::parse(
      R"({"metadata":{"name":"s","namespace":"n"},"addressType":"IPv4","endpoints":[
      {"addresses":["10.0.0.1"]},
      {"addresses":["10.0.0.2"],"conditions":{"ready":false},"targetRef":{"kind":"Pod","name":"p"}},
      {"addresses":["10.0.0.3"],"conditions":{"ready":false,"serving":true,"terminating":true},
       "targetRef":{"kind":"VirtualMachine","name":"v"}}]})"));
  ASSERT_TRUE(slice);
  const auto& all = slice->endpoints;
  EXPECT_TRUE(all[0].is_serving() && !all[0].is_terminating());
  EXPECT_FALSE(all[1].is_serving() || all[1].is_terminating());
  EXPECT_TRUE(all[2].is_serving() && all[2].is_terminating());
  EXPECT_EQ(all[1].pod, "p");
  EXPECT_EQ(all[2].pod, "");
}

}  // namespace
}  // namespace cw::api
