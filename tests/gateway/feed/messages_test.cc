#include "gateway/feed/messages.h"

#include <gtest/gtest.h>

#include <functional>

#include "api/mcs/export_record.h"
#include "base/fake/sim_loop.h"
#include "feed.pb.h"

namespace cw::gateway {
namespace {

namespace pb = causeway::feed::v1;

api::ExportRecord record() {
  api::ExportRecord record;
  record.cluster = "east";
  record.service = {"shop", "db"};
  record.exported_at = WallTime(std::chrono::seconds(1'700'000'000));
  record.headless = true;
  record.ports = {{"pg", "TCP", "kubernetes.io/h2c", 5432, "postgres"}, {"", "UDP", "", 53, ""}};
  record.port_sets = {{{"pg", "TCP", "", 15432}}, {{"pg", "TCP", "", 25432}}};
  record.cluster_ips = {"10.96.0.1", "fd00::1"};
  record.ip_families = {"IPv4", "IPv6"};
  record.session_affinity = "ClientIP";
  record.session_affinity_timeout = 10800;
  record.internal_traffic_policy = "Local";
  record.traffic_distribution = "PreferClose";
  record.labels = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
  record.annotations = {{"note", "several\nlines"}};
  record.endpoints = {
      {{*IpAddress::parse("10.1.0.1")}, "db-0", "zone-a", true},
      {{*IpAddress::parse("10.1.0.2"), *IpAddress::parse("fd01::2")}, "db-1", "", false, false},
      {{*IpAddress::parse("10.1.0.3")}, "10-1-0-3", "", false, true, true, 1, "db-7f"}};
  return record;
}

AnnouncedChange announcement() {
  const auto p = [](std::string_view text) { return *Prefix::parse(text); };
  return {"east",
          9,
          7,
          {{"", {p("10.1.128.0/17")}},
           {"gone", {}},
           {"worker-1.example", {p("10.1.0.0/24"), p("10.1.2.7/32"), p("fd01::/64")}}},
          {{0, "key-zero", {*Endpoint::parse("192.0.2.1:4500")}, false, "worker-1.example"},
           {7, "key-seven", {*Endpoint::parse("[2001:db8::1]:4500")}, true, ""}}};
}

TEST(Messages, EveryStatementSurvivesTheWire) {
  const std::vector<Statement> statements = {
      SnapshotBegin{},           SnapshotEnd{},  Heartbeat{}, announcement(), record(),
      Withdrawn{{"shop", "db"}}, RefusalReport{}};
  for (const auto& statement : statements) {
    const auto parsed = parse_event(encode_statement(statement) + encode_token("i-7"), "east");
    ASSERT_TRUE(parsed) << parsed.error().text;
    EXPECT_EQ(*parsed, (FeedEvent{"i-7", statement}));
  }
  EXPECT_EQ(EncodedExport(record()).record("east"), record());
  const WatchQuery query{{"west", 1}, "token"};
  EXPECT_EQ(*parse_query(encode_query(query)), query);
}

TEST(Messages, ARecordBelongsToTheSendersCluster) {
  EXPECT_EQ(EncodedExport(record()).record("west").cluster, "west");
}

TEST(Messages, EqualRecordsHaveEqualBytes) {
  auto other = record();
  other.labels.clear();
  for (const auto* key : {"c", "a", "b"}) other.labels[key] = record().labels[key];
  EXPECT_EQ(EncodedExport(other), EncodedExport(record()));
  EXPECT_EQ(EncodedExport(other).fingerprint(), EncodedExport(record()).fingerprint());
}

TEST(Messages, EndpointsArriveSortedWithoutDuplicates) {
  auto shuffled = record();
  std::swap(shuffled.endpoints[0], shuffled.endpoints[1]);
  shuffled.endpoints.push_back(shuffled.endpoints[0]);
  std::swap(shuffled.endpoints[0].addresses[0], shuffled.endpoints[0].addresses[1]);
  EXPECT_EQ(EncodedExport(shuffled).record("east"), record());
}

TEST(Messages, AKindFromTheFutureIsASignOfLife) {
  const auto parsed = parse_event("", "east");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(std::holds_alternative<Heartbeat>(parsed->statement));
}

template <typename Part>
struct Row {
  std::function<void(Part&)> break_it;
  std::string says;
};

// Checks that the refusal of the broken field is the one in the row.
void expect_says(const pb::Event& event, const std::string& says) {
  const auto parsed = parse_event(event.SerializeAsString(), "east");
  ASSERT_FALSE(parsed) << says;
  EXPECT_EQ(parsed.error().text.substr(0, 12 + says.size()), "feed event: " + says);
}

// A sender of feed version 1.0 has one list of ports and no `serving`. A reader of 1.0 reads the
// list that we still send.
TEST(Messages, AnExportOfOneMinorVersionBeforeIsUnderstood) {
  pb::Event event;
  ASSERT_TRUE(event.ParseFromString(encode_statement(record())));
  auto& said = *event.mutable_export_();
  ASSERT_EQ(said.target_ports_size(), 1) << "the first set, for a reader of 1.0";
  EXPECT_EQ(said.target_ports(0).port(), 15432U);
  said.clear_port_sets();
  for (auto& endpoint : *said.mutable_endpoints()) {
    endpoint.clear_port_set();
    endpoint.clear_serving();
    endpoint.set_ready(true);
  }
  const auto parsed = parse_event(event.SerializeAsString(), "east");
  ASSERT_TRUE(parsed) << parsed.error().text;
  const auto& read = std::get<api::ExportRecord>(parsed->statement);
  EXPECT_EQ(read.port_sets, (std::vector<api::PortSet>{{{"pg", "TCP", "", 15432}}}));
  for (const auto& endpoint : read.endpoints) EXPECT_TRUE(endpoint.serving);
}

TEST(Messages, EveryFieldOfAnExportIsChecked) {
  using E = pb::Export;
  const std::vector<Row<E>> rows = {
      {[](E& e) { e.mutable_key()->set_name("../../etc"); }, "key.name: is not a DNS label"},
      {[](E& e) { e.mutable_key()->set_namespace_(""); }, "key.namespace: is not a DNS label"},
      {[](E& e) { e.set_exported_at(-1); }, "exported_at: not a time"},
      {[](E& e) { e.set_exported_at(INT64_MAX); }, "exported_at: not a time"},
      {[](E& e) { e.mutable_ports(0)->set_port(0); }, "port.port: 0 is not a port"},
      {[](E& e) { e.mutable_ports(0)->set_port(65536); }, "port.port: 65536 is not a port"},
      {[](E& e) { e.mutable_ports(0)->set_protocol("ICMP"); }, "port.protocol: has an unknown"},
      {[](E& e) { e.mutable_ports(0)->set_name("A b"); }, "port.name: is not a DNS label"},
      {[](E& e) { e.mutable_ports(0)->set_target_port(std::string(64, 'x')); },
       "port.target_port: 64 bytes, at most 63"},
      {[](E& e) { e.mutable_port_sets(0)->mutable_ports(0)->set_port(0); },
       "port.port: 0 is not a port"},
      {[](E& e) {
         while (e.port_sets_size() <= static_cast<int>(api::kMaxPortSets)) e.add_port_sets();
       },
       "port_sets: 65 of them, at most 64"},
      {[](E& e) {
         while (e.port_sets(0).ports_size() < static_cast<int>(api::kMaxTargetPorts)) {
           *e.mutable_port_sets(0)->add_ports() = e.ports(0);
         }
       },
       "port_sets.ports: 1025 of them, at most 1024"},
      {[](E& e) { e.mutable_endpoints(0)->set_port_set(2); },
       "endpoint.port_set: there is no such set"},
      {[](E& e) { e.mutable_endpoints(0)->set_pod("a.b"); }, "endpoint.pod: is not a DNS label"},
      {[](E& e) { e.mutable_ports(0)->set_app_protocol("a b"); },
       "port.app_protocol: \"a b\" is not a qualified name"},
      {[](E& e) { e.mutable_ports(0)->set_app_protocol("example.com/h2/c"); },
       "port.app_protocol: \"example.com/h2/c\" is not"},
      {[](E& e) { e.mutable_port_sets(0)->mutable_ports(0)->set_app_protocol("-x"); },
       "port.app_protocol: \"-x\" is not"},
      {[](E& e) { e.set_cluster_ips(0, "10.96.0.999"); }, "cluster_ips: "},
      {[](E& e) { e.add_cluster_ips("10.96.0.1"); }, "cluster_ips: 3 of them, at most 2"},
      {[](E& e) { e.set_ip_families(0, "IPv5"); }, "ip_families: has an unknown value"},
      {[](E& e) { e.set_session_affinity("Sometimes"); }, "session_affinity: has an unknown"},
      {[](E& e) { e.set_session_affinity_timeout(0); }, "session_affinity_timeout: not within"},
      {[](E& e) { e.set_internal_traffic_policy("x"); }, "internal_traffic_policy: has an"},
      {[](E& e) { e.set_traffic_distribution("a\nb"); }, "traffic_distribution: has control"},
      {[](E& e) { (*e.mutable_labels())["x"] = std::string(api::kMaxExportMetadata, 'x'); },
       "labels: more than 16 KiB"},
      {[](E& e) {
         for (int i = 0; i < 1025; ++i) (*e.mutable_annotations())[std::to_string(i)] = "";
       },
       "annotations: 1026 of them, at most 1024"},
      {[](E& e) { (*e.mutable_labels())["not a key"] = ""; },
       "labels: \"not a key\" is not a qualified name"},
      {[](E& e) { (*e.mutable_labels())["Upper.example/x"] = ""; },
       "labels: \"Upper.example/x\" is not a qualified name"},
      {[](E& e) { (*e.mutable_labels())["a/b/c"] = ""; },
       "labels: \"a/b/c\" is not a qualified name"},
      {[](E& e) { (*e.mutable_labels())["/x"] = ""; }, "labels: \"/x\" is not a qualified name"},
      {[](E& e) { (*e.mutable_labels())[std::string(64, 'k')] = ""; }, "labels: \"kkkkkkkk"},
      {[](E& e) { (*e.mutable_labels())["x"] = "-y"; },
       "labels: the value \"-y\" of \"x\" is not a label value"},
      {[](E& e) { (*e.mutable_labels())["x"] = "a\nb"; }, "labels: the value \"a?b\" of \"x\""},
      {[](E& e) { (*e.mutable_labels())["x"] = std::string(64, 'v'); },
       "labels: the value \"vvvvvvvv"},
      {[](E& e) { (*e.mutable_annotations())["x\033[2J"] = ""; },
       "annotations: \"x?[2J\" is not a qualified name"},
      {[](E& e) { (*e.mutable_annotations())[""] = "v"; },
       "annotations: \"\" is not a qualified name"},
      {[](E& e) { e.mutable_endpoints(0)->set_hostname(""); }, "endpoint.hostname: is not a DNS"},
      {[](E& e) { e.mutable_endpoints(0)->clear_addresses(); }, "endpoint.addresses: none"},
      {[](E& e) { e.mutable_endpoints(0)->set_addresses(0, "12345"); }, "endpoint.addresses: "},
      {[](E& e) { e.mutable_endpoints(0)->set_addresses(0, std::string("\x7f\0\0\1", 4)); },
       "endpoint.addresses: 127.0.0.1 cannot be an endpoint"},
      {[](E& e) {
         for (int i = 0; i < 9; ++i) e.mutable_endpoints(0)->add_addresses("1234");
       },
       "endpoint.addresses: 10 of them, at most 8"},
      {[](E& e) {
         while (e.endpoints_size() <= static_cast<int>(api::kMaxExportEndpoints)) e.add_endpoints();
       },
       "endpoints: 5001 of them, at most 5000"},
      {[](E& e) {
         while (e.ports_size() <= static_cast<int>(api::kMaxExportPorts)) e.add_ports();
       },
       "ports: 257 of them, at most 256"},
  };
  for (const auto& row : rows) {
    pb::Event event;
    ASSERT_TRUE(event.ParseFromString(encode_statement(record())));
    row.break_it(*event.mutable_export_());
    expect_says(event, row.says);
  }
}

TEST(Messages, TakesTheLabelsThatKubernetesTakes) {
  auto said = record();
  said.labels = {{"app.kubernetes.io/name", "db_1.x-Y"}, {"A", ""}, {"a-b_c.d", "v"}};
  said.annotations = {{"example.com/Note", "any text, \"quoted\", with\nlines"}, {"x", ""}};
  EXPECT_EQ(EncodedExport(said).record("east"), said);
}

TEST(Messages, ARefusedMessageIsNamedByWhatItIsAbout) {
  pb::Event event;
  ASSERT_TRUE(event.ParseFromString(encode_statement(record())));
  event.mutable_export_()->set_exported_at(-1);
  EXPECT_EQ(fault_of(event.SerializeAsString(), {}).subject, "export shop/db");
  event.mutable_export_()->mutable_key()->set_name("../x");
  EXPECT_EQ(fault_of(event.SerializeAsString(), {}).subject, "export");
  ASSERT_TRUE(event.ParseFromString(encode_statement(announcement())));
  EXPECT_EQ(fault_of(event.SerializeAsString(), {}).subject, "announcement");
  EXPECT_EQ(fault_of(encode_statement(Withdrawn{{"shop", "db"}}), {}).subject, "export shop/db");
  EXPECT_EQ(fault_of("\xff\xff", {}).subject, "message");
  EXPECT_EQ(fault_of("", {}).subject, "message");
}

TEST(Messages, EveryFieldOfAnAnnouncementIsChecked) {
  using A = pb::AnnouncedChange;
  const std::vector<Row<A>> rows = {
      {[](A& a) { a.set_cluster("East"); }, "cluster: is not a DNS label"},
      {[](A& a) { a.set_since(9); }, "number: is not above since"},
      {[](A& a) { a.mutable_nodes(2)->mutable_prefixes(0)->set_length(33); }, "node.prefixes: "},
      {[](A& a) { a.mutable_nodes(2)->mutable_prefixes(0)->set_length(8); },
       "node.prefixes: has host bits set"},
      {[](A& a) { a.mutable_nodes(2)->mutable_prefixes(0)->set_address("123"); },
       "node.prefixes: "},
      {[](A& a) {
         auto& node = *a.mutable_nodes(2);
         while (node.prefixes_size() <= static_cast<int>(kMaxNodePrefixes)) node.add_prefixes();
       },
       "node.prefixes: 513 of them, at most 512"},
      {[](A& a) {
         while (a.nodes_size() < 100) {
           auto& node = *a.add_nodes();
           node.set_name("n" + std::to_string(a.nodes_size()));
           while (node.prefixes_size() < 200) *node.add_prefixes() = a.nodes(2).prefixes(0);
         }
       },
       "node.prefixes: more than 10000 of all nodes together"},
      {[](A& a) {
         while (a.nodes_size() <= static_cast<int>(kMaxAnnouncedNodes)) a.add_nodes();
       },
       "nodes: 5001 of them, at most 5000"},
      {[](A& a) { a.mutable_nodes(1)->set_name("worker-1.example"); },
       "nodes: node worker-1.example twice"},
      {[](A& a) { a.mutable_nodes(1)->set_name("a\033[2J"); },
       "node.name: a?[2J is no name of a Node"},
      {[](A& a) { a.mutable_nodes(1)->set_name("Worker"); },
       "node.name: Worker is no name of a Node"},
      {[](A& a) { a.mutable_nodes(1)->set_name(std::string(254, 'n')); }, "node.name: nnnn"},
      {[](A& a) { a.mutable_gateways(0)->set_node("../x"); },
       "gateway.node: ../x is no name of a Node"},
      {[](A& a) {
         while (a.gateways_size() <= static_cast<int>(kMaxAnnouncedGateways)) a.add_gateways();
       },
       "gateways: 65 of them, at most 64"},
      {[](A& a) { a.mutable_gateways(1)->set_ordinal(0); }, "gateways: ordinal 0 twice"},
      {[](A& a) { a.mutable_gateways(0)->set_public_key(std::string(65, 'k')); },
       "gateway.public_key: 65 bytes"},
      {[](A& a) { a.mutable_gateways(0)->set_endpoints(0, "nowhere"); }, "gateway.endpoints: "},
  };
  for (const auto& row : rows) {
    pb::Event event;
    ASSERT_TRUE(event.ParseFromString(encode_statement(announcement())));
    row.break_it(*event.mutable_announcement());
    expect_says(event, row.says);
  }
}

TEST(Messages, SizesAreLimited) {
  EXPECT_EQ(parse_event(std::string(kMaxMessage + 1, 'x'), "east").error().code, Errc::kTooLarge);
  EXPECT_EQ(parse_query(std::string(4097, 'x')).error().code, Errc::kTooLarge);
  EXPECT_EQ(parse_query(encode_query({{"west", 1}, std::string(65, 't')})).error().code,
            Errc::kTooLarge);
  EXPECT_EQ(parse_query(encode_query({{"", 1}, ""})).error().code, Errc::kInvalid);
}

TEST(Messages, AnyBytesGiveAValueOrAnError) {
  SeededRandom random(5);
  const auto good = encode_statement(record()) + encode_token("i-7");
  for (int round = 0; round < 5000; ++round) {
    auto bytes = good;
    for (auto n = 1 + random.next() % 4; n > 0; --n) {
      bytes[random.next() % bytes.size()] = static_cast<char>(random.next());
    }
    if (random.next() % 4 == 0) bytes.resize(random.next() % (bytes.size() + 1));
    const auto parsed = parse_event(bytes, "east");
    if (!parsed) {
      EXPECT_FALSE(parsed.error().text.empty());
      continue;
    }
    // An accepted message is accepted again, unchanged.
    const auto again = parse_event(
        encode_statement(parsed->statement) + encode_token(parsed->resume_token), "east");
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(*again, *parsed);
  }
}

}  // namespace
}  // namespace cw::gateway
