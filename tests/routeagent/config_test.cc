// The route agent's configuration file: defaults, every key, and one clear line for each problem.
#include "routeagent/config.h"

#include <gtest/gtest.h>

namespace cw::routeagent {
namespace {

std::string problem(std::string_view text) {
  const auto config = parse_config(text, "agent.yaml");
  return config ? "" : config.error().text;
}

TEST(AgentConfig, NeedsOnlyStoreAndNode) {
  const auto config = parse_config("store: dir:/s\nnode: w0\n", "agent.yaml");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->store, "dir:/s");
  EXPECT_EQ(config->node, "w0");
  EXPECT_EQ(config->ns, "causeway-system");
  EXPECT_EQ(config->probe_interval, std::chrono::milliseconds(150));
  EXPECT_EQ(config->probe_lost, 3U);
  EXPECT_EQ(config->hold_down, std::chrono::minutes(2));
  EXPECT_EQ(config->resync, std::chrono::seconds(60));
  EXPECT_FALSE(config->status);
  EXPECT_EQ(config->state_dir, "/var/lib/causeway");
  EXPECT_EQ(config->overlay, OverlayMode::kVxlan);
  EXPECT_EQ(config->hop_port, 4794);
  EXPECT_EQ(config->hop_tunnel.interface, "cw-nd");
  EXPECT_FALSE(config->hop_tunnel.engine.uso);
}

TEST(AgentConfig, ReadsEveryKey) {
  const auto config = parse_config(
      "store: dir:/s\nnamespace: net\nlog: {level: debug, json: true}\nstatus: 127.0.0.1:9702\n"
      "node: w0\nprobe: {interval: 100ms, lost: 5}\nholdDown: 10s\nresync: 30s\n"
      "stateDir: /state\noverlay: wireguard\nrulePriority: 900\n"
      "nodeTunnel: {port: 5000, driver: engine, userspaceProgram: /bin/wg}\n",
      "agent.yaml");
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->ns, "net");
  EXPECT_EQ(config->log_level, LogLevel::kDebug);
  EXPECT_TRUE(config->log_json);
  EXPECT_EQ(config->status->to_string(), "127.0.0.1:9702");
  EXPECT_EQ(config->probe_interval, std::chrono::milliseconds(100));
  EXPECT_EQ(config->probe_lost, 5U);
  EXPECT_EQ(config->hold_down, std::chrono::seconds(10));
  EXPECT_EQ(config->resync, std::chrono::seconds(30));
  EXPECT_EQ(config->state_dir, "/state");
  EXPECT_EQ(config->overlay, OverlayMode::kWireguard);
  EXPECT_EQ(config->hop_port, 5000);
  EXPECT_EQ(config->hop_tunnel.choice, tunnel::DriverChoice::kEngine);
  EXPECT_EQ(config->hop_tunnel.userspace_program, "/bin/wg");
  EXPECT_EQ(config->rules.bypass, 900U);
  EXPECT_EQ(config->rules.to_remote(), 903U);
}

TEST(AgentConfig, RestrictsForwardingWhereNoCniNeedsIt) {
  EXPECT_TRUE(parse_config("store: dir:/s\nnode: w0\n", "f")->forward_ours_only);
  EXPECT_FALSE(parse_config("store: 'kube:'\nnode: w0\n", "f")->forward_ours_only);
  EXPECT_FALSE(parse_config("store: dir:/s\nnode: w0\nforwarding: all\n", "f")->forward_ours_only);
  EXPECT_TRUE(parse_config("store: 'kube:'\nnode: w0\nforwarding: own\n", "f")->forward_ours_only);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nforwarding: some\n").find("agent.yaml:3: forwarding"),
            std::string::npos);
}

TEST(AgentConfig, NamesTheLineAndTheKeyOfAProblem) {
  EXPECT_NE(problem("node: w0\n").find("store"), std::string::npos);
  EXPECT_NE(problem("store: dir:/s\n").find("node"), std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\ncolour: red\n").find("agent.yaml:3: colour"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nprobe: {interval: fast}\n").find("agent.yaml:3: "),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nprobe:\n  interval: 1ms\n").find("want 10ms to 1m"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nprobe:\n  lost: 0\n").find("want 1 to 32"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nresync: 10ms\n").find("want 1s to 24h"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nlog: {level: loud}\n").find("agent.yaml:3: "),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nrulePriority: 0\n").find("want 1 to 32000"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nstateDir: here\n").find("an absolute path"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\noverlay: ipsec\n").find("vxlan or wireguard"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: w0\nnodeTunnel:\n  port: 0\n").find("want 1 to 65535"),
            std::string::npos);
  EXPECT_NE(problem("store: dir:/s\nnode: \"\"\n").find("agent.yaml:2: node"), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
