// `causewayctl status` of a small cluster, held as a golden file in each form.
#include "cli/status.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/dir/yaml.h"

namespace cw::cli {
namespace {

using std::chrono::seconds;

const WallTime kNow{seconds(1'800'000'000)};

api::TunnelStatus tunnel(std::uint32_t ordinal, const std::string& state) {
  api::TunnelStatus status;
  status.cluster = "west";
  status.ordinal = ordinal;
  status.state = state;
  if (state == "down") {
    status.loss = 1;
    return status;
  }
  status.endpoint = "203.0.113.7:4500";
  status.rtt_ms = 12.34;
  status.jitter_ms = 0.4;
  status.loss = 0.0156;
  status.last_handshake = kNow - seconds(42);
  status.rx_bytes = 5'000'000;
  status.tx_bytes = 1200;
  status.allowed = {*Prefix::parse("10.2.1.0/24")};
  return status;
}

StatusInputs two_clusters() {
  StatusInputs in;
  in.cluster = "east";
  in.now = kNow;
  api::ClusterPeer west;
  west.meta.key.name = west.spec.cluster_id = "west";
  west.spec.gateways.resize(2);
  west.spec.allowed_cidrs = {*Prefix::parse("10.2.0.0/16")};
  west.status.cidrs = {*Prefix::parse("10.2.1.0/24"), *Prefix::parse("10.2.2.0/24")};
  west.status.connected = true;
  west.status.conditions = {{"ClaimsAccepted",
                             api::ConditionStatus::kFalse,
                             "Outside",
                             "10.9.0.0/16 is outside what the ClusterPeer allows",
                             0,
                             {}}};
  api::ClusterPeer north;
  north.meta.key.name = north.spec.cluster_id = "north";
  north.spec.gateways.resize(1);
  in.peers = {west, north};
  for (std::uint32_t ordinal : {1U, 0U}) {
    api::TunnelGateway gateway;
    gateway.spec.ordinal = ordinal;
    gateway.spec.node = "east-gateway-" + std::to_string(ordinal);
    gateway.spec.endpoints = {*Endpoint::parse("192.0.2.1:4500")};
    gateway.status.driver = "kernel";
    gateway.status.prefix_source = "node";
    gateway.status.draining = ordinal == 1;
    gateway.status.homed = {*Prefix::parse("10.1." + std::to_string(ordinal) + ".0/24")};
    gateway.status.tunnels = {tunnel(1, ordinal == 0 ? "up" : "degraded"),
                              tunnel(0, ordinal == 0 ? "up" : "down")};
    gateway.status.conditions = {{"Ready", api::ConditionStatus::kTrue, "Ready", "", 0, {}}};
    in.gateways.push_back(gateway);
  }
  api::RouteAgent worker;
  worker.meta.key.name = "east-worker-0";
  worker.status.chosen = {{"north", -1, "gateway 0 does not reach north", kNow - seconds(3700)},
                          {"west", 0, "home of node w1", kNow - seconds(90)}};
  worker.status.gateways = {{0, "up", 0.3, 0}, {1, "draining", 0.4, 0}};
  worker.status.routes = 2;
  worker.status.errors = {"nexthop 0x43570001: netlink: EPERM"};
  worker.status.closed = {"north", "south", "west"};
  api::RouteAgent idle;
  idle.meta.key.name = "east-gateway-0";
  in.agents = {worker, idle};
  in.problems = {"TunnelGateway gateway-7: spec.node: is missing"};
  return in;
}

void expect_golden(const std::string& name, const std::string& text) {
  const auto path = std::string(CW_SOURCE_DIR) + "/tests/golden/" + name;
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(Status, TablesAreAsReviewed) {
  expect_golden("ctl_status.txt", status_text(two_clusters(), false));
}

TEST(Status, TreeIsAsReviewed) {
  expect_golden("ctl_status.json", status_tree(two_clusters()).dump(2) + "\n");
  expect_golden("ctl_status.yaml", api::to_yaml(status_tree(two_clusters())));
}

TEST(Status, ColoursChangeNothingElse) {
  const auto in = two_clusters();
  auto text = status_text(in, true);
  EXPECT_NE(text.find("\x1b[31m"), std::string::npos);
  for (auto at = text.find('\x1b'); at != std::string::npos; at = text.find('\x1b')) {
    text.erase(at, text.find('m', at) - at + 1);
  }
  EXPECT_EQ(text, status_text(in, false));
}

TEST(Status, AnEmptyClusterSaysWhatToDo) {
  const auto text = status_text({}, false);
  EXPECT_NE(text.find("no id yet"), std::string::npos);
  EXPECT_NE(text.find("pair accept"), std::string::npos);
  const auto tree = status_tree({});
  EXPECT_TRUE(tree.at("tunnels").is_array());
  EXPECT_TRUE(tree.at("problems").empty());
}

TEST(Status, SaysHowGatewaysAreSeenAndWhatTheirEndpointsLack) {
  StatusInputs in;
  api::TunnelGateway gateway;
  gateway.status.observed = {{"hub/0", *Endpoint::parse("203.0.113.1:40001")}};
  gateway.status.conditions = {{"EndpointsKnown",
                                api::ConditionStatus::kFalse,
                                "ServicePending",
                                "Service a/b has no node port yet",
                                0,
                                {}}};
  in.gateways = {gateway};
  const auto tree = status_tree(in);
  EXPECT_EQ(tree.at("gateways").at(0).at("observed").at("hub/0"), "203.0.113.1:40001");
  EXPECT_EQ(tree.at("problems").at(0),
            "gateway 0: EndpointsKnown: Service a/b has no node port yet");
}

// An export that other clusters do not get must not look like a success.
TEST(Status, NamesExportsThatLackSomething) {
  const auto with = [](const char* name, const char* type, api::ConditionStatus status) {
    api::ServiceExport object;
    object.meta.key = {"data", name};
    object.status.conditions = {{type, status, "R", std::string("why ") + name, 0, {}}};
    return object;
  };
  StatusInputs in;
  in.exports = {with("a", "Reachable", api::ConditionStatus::kFalse),
                with("b", "Conflict", api::ConditionStatus::kFalse),
                with("c", "Valid", api::ConditionStatus::kFalse),
                with("d", "Reachable", api::ConditionStatus::kTrue)};
  EXPECT_EQ(status_tree(in).at("problems"),
            (nlohmann::ordered_json{"export data/a: why a", "export data/c: why c"}));
  for (int i = 0; i < 30; ++i) in.exports.push_back(in.exports.front());
  const auto problems = status_tree(in).at("problems");
  ASSERT_EQ(problems.size(), 21U);
  EXPECT_EQ(problems.back(), "12 more exports are not valid or lack endpoints");
}

}  // namespace
}  // namespace cw::cli
