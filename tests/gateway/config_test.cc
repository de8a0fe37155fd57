#include "gateway/config.h"

#include <gtest/gtest.h>

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kLeast = "store: dir:/tmp/x\nordinal: 1\nnode: n1\n";

std::string problem_in(const std::string& more) {
  const auto config = parse_config(kLeast + more, "c.yaml");
  return config ? "" : config.error().text;
}

TEST(GatewayConfig, HasDefaultsForEverythingButThree) {
  const auto config = parse_config(kLeast, "c.yaml");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->ordinal, 1U);
  EXPECT_EQ(config->node, "n1");
  EXPECT_EQ(config->ns, "causeway-system");
  EXPECT_EQ(config->listen_port, 4500);
  EXPECT_EQ(config->tunnel.interface, "cw-wg");
  EXPECT_EQ(config->tunnel.choice, tunnel::DriverChoice::kAuto);
  EXPECT_EQ(config->keepalive, Duration(seconds(5)));
  EXPECT_EQ(config->probe_interval, Duration(milliseconds(100)));
  EXPECT_EQ(config->probe_lost, 3U);
  EXPECT_EQ(config->drain, Duration(seconds(1)));
  EXPECT_FALSE(config->status);
  EXPECT_TRUE(config->endpoints.empty());
}

TEST(GatewayConfig, EndpointsAreAddressesOrNamesAndEachOrdinalMayHaveItsOwn) {
  const auto config = parse_config(std::string(kLeast) +
                                       "endpoints: [192.0.2.9:1]\n"
                                       "endpointsOf:\n  '0': [gw0.example.com:4500]\n"
                                       "  '1': [gw1.example.com:4500, 192.0.2.1:4500]\n",
                                   "c.yaml");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->endpoints, (std::vector<Contact>{*Contact::parse("gw1.example.com:4500"),
                                                     *Contact::parse("192.0.2.1:4500")}));
  EXPECT_EQ(problem_in("endpointsOf: {x: []}\n"), "c.yaml:4: endpointsOf.x: unknown key");
  EXPECT_NE(problem_in("endpointsOf: {'0': [nowhere]}\n").find("endpointsOf.0"), std::string::npos);
}

TEST(GatewayConfig, ReadsEverything) {
  const auto config = parse_config(
      "store: dir:/s\nnamespace: ns\nordinal: 0\nnode: n\nlistenPort: 4501\nrulePriority: 900\n"
      "endpoints: ['192.0.2.1:1', '[2001:db8::1]:2']\nprivateKeyFile: /k\nstatus: 127.0.0.1:1\n"
      "service: gw-0\n"
      "log: {level: debug, json: true}\n"
      "tunnel: {driver: uapi, userspaceProgram: wg-x, keepalive: 7s}\n"
      "probe: {interval: 50ms, lost: 5}\ndrain: 2s\nfeed: {heartbeat: 2s, "
      "connectionsPerSecond: 9}\n",
      "c.yaml");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->ns, "ns");
  EXPECT_EQ(config->listen_port, 4501);
  EXPECT_EQ(config->rule_priority, 900U);
  EXPECT_EQ(config->endpoints.size(), 2U);
  EXPECT_EQ(config->service, "gw-0");
  EXPECT_EQ(config->private_key_file, "/k");
  EXPECT_EQ(config->status->to_string(), "127.0.0.1:1");
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_TRUE(config->log_json);
  EXPECT_EQ(config->tunnel.choice, tunnel::DriverChoice::kUapi);
  EXPECT_EQ(config->tunnel.userspace_program, "wg-x");
  EXPECT_EQ(config->keepalive, Duration(seconds(7)));
  EXPECT_EQ(config->probe_interval, Duration(milliseconds(50)));
  EXPECT_EQ(config->probe_lost, 5U);
  EXPECT_EQ(config->drain, Duration(seconds(2)));
  EXPECT_EQ(config->heartbeat, Duration(seconds(2)));
  EXPECT_EQ(config->feed_connections, 9U);
}

TEST(GatewayConfig, NamesTheLineAndTheKeyOfAProblem) {
  EXPECT_EQ(problem_in("colour: red\n").find("c.yaml:4: colour"), 0U);
  for (const auto* wrong :
       {"listenPort: 0", "listenPort: 70000", "rulePriority: 0", "rulePriority: 32001",
        "endpoints: [nowhere]", "drain: soon", "probe: {lost: 0}", "probe: {interval: 1ms}",
        "tunnel: {driver: pigeon}", "tunnel: {interface: wg9}", "tunnel: {keepalive: 0s}",
        "tunnel: {engine: {aead: rot13}}", "tunnel: {engine: {workers: 65}}",
        "tunnel: {engine: {turbo: true}}", "log: {level: loud}", "status: here",
        "feed: {heartbeat: 1ms}", "feed: {connectionsPerSecond: 0}"}) {
    const auto text = problem_in(std::string(wrong) + "\n");
    EXPECT_EQ(text.find("c.yaml:4: "), 0U) << wrong << " -> " << text;
  }
}

TEST(GatewayConfig, ReadsTheEnginesSwitches) {
  const auto config = parse_config(
      "store: dir:/s\nordinal: 0\nnode: n\ntunnel:\n  engine: {workers: 3, tso: false, uso: false, "
      "gso: false, gro: false, aead: openssl}\n",
      "c.yaml");
  ASSERT_TRUE(config) << config.error().text;
  const auto& engine = config->tunnel.engine;
  EXPECT_EQ(engine.workers, 3);
  EXPECT_FALSE(engine.tso || engine.uso || engine.gso || engine.gro);
  EXPECT_EQ(engine.aead, "openssl");
}

TEST(GatewayConfig, InsistsOnStoreOrdinalAndNode) {
  for (const auto* rest :
       {"ordinal: 0\nnode: n\n", "store: dir:/s\nnode: n\n", "store: dir:/s\nordinal: 0\n",
        "store: dir:/s\nordinal: 0\nnode: ''\n", "store: dir:/s\nordinal: -1\nnode: n\n",
        "store: dir:/s\nordinal: 99999\nnode: n\n"}) {
    EXPECT_FALSE(parse_config(rest, "c.yaml")) << rest;
  }
}

}  // namespace
}  // namespace cw::gateway
