// The wanted state of a gateway's kernel. The reconciler's laws are in
// tests/netlink/reconcile_test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "gateway/path/nft.h"
#include "gateway/path/state.h"
#include "netlink/fake/fake_kernel.h"
#include "netlink/reconcile.h"
#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

PathInput input(unsigned remotes = 3) {
  PathInput in;
  in.listen_port = 4500;
  in.control_address = ip("fd12::1");
  in.probe_address = ip("240.1.1.1");
  in.remote_controls = {ip("fd34::1"), ip("fd34::2"), ip("241.2.2.2")};
  in.through = {{ip("245.0.0.1"), ip("241.2.2.2")}, {ip("fd99::1"), ip("fd34::1")}};
  for (unsigned n = 0; n < remotes; ++n) in.remotes.insert(net(fmt::format("10.2.{}.0/24", n)));
  in.remotes.insert(net("fd00:2::/64"));
  in.local = {net("10.1.0.0/24"), net("10.1.1.0/24"), net("fd00:1::/64")};
  return in;
}

netlink::FakeKernel with_tunnel() {
  netlink::FakeKernel kernel;
  kernel.links["cw-wg"] = {7, "cw-wg", "wireguard", 1500, false, {}};
  return kernel;
}

netlink::Reconciler reconciler_of(netlink::Kernel& kernel) {
  return {netlink::gateway_owner(), kernel};
}

std::string text_of(const PathInput& in) { return netlink::nft_text(path_table(in)); }

TEST(Path, MarksWhatRemoteGatewaysSend) {
  EXPECT_NE(text_of(input()).find("udp dport 4500 fib daddr type local meta mark set 0x1057"),
            std::string::npos);
  EXPECT_EQ(desired_path(input()).sysctls.at("ipv4/conf/all/src_valid_mark"), "1");
}

TEST(Path, MakesWhatTheDocumentSays) {
  auto kernel = with_tunnel();
  EXPECT_TRUE(reconciler_of(kernel).apply(desired_path(input(1))).errors.empty());
  EXPECT_TRUE(kernel.links.at("cw-wg").up);
  EXPECT_EQ(kernel.links.at("cw-wg").mtu, 1420U);
  EXPECT_EQ(kernel.addresses, (std::vector<netlink::Address>{{"cw-wg", ip("240.1.1.1"), 32},
                                                             {"cw-wg", ip("fd12::1"), 128}}));
  std::set<std::string> transit;
  const auto routes = *kernel.dump_routes(netlink::kTransitTable);
  for (const auto& route : routes) {
    EXPECT_EQ(route.link, "cw-wg");
    transit.insert(route.dst.to_string());
  }
  EXPECT_EQ(transit, (std::set<std::string>{"10.2.0.0/24", "241.2.2.2/32", "fd00:2::/64",
                                            "fd34::1/128", "fd34::2/128"}));
  EXPECT_EQ(kernel.dump_routes(netlink::kMainTable)->size(), 3U);
  EXPECT_EQ(kernel.rules.size(), 2U);
  EXPECT_EQ(kernel.sysctls["ipv4/conf/cw-wg/rp_filter"], "2");
  EXPECT_EQ(*kernel.sysctl("ipv6/conf/cw-wg/disable_ipv6"), "0");
}

TEST(Path, LeavesForwardingToTheRouteAgent) {
  EXPECT_EQ(desired_path(input(1)).sysctls.count("ipv4/ip_forward"), 0U);
  EXPECT_EQ(desired_path(input(1)).sysctls.count("ipv6/conf/all/forwarding"), 0U);
}

TEST(Path, GoesFromAnyStateToAnyOther) {
  std::mt19937 dice(3);
  auto kernel = with_tunnel();
  auto reconciler = reconciler_of(kernel);
  for (int round = 0; round < 100; ++round) {
    auto in = input(static_cast<unsigned>(dice() % 8));
    if (dice() % 2 == 0) in.remote_controls.erase(ip("fd34::2"));
    if (dice() % 3 == 0) in.local.clear();
    if (dice() % 5 == 0) in.control_address = ip("fd12::2");
    if (dice() % 5 == 0) in.probe_address = ip("250.1.1.1");
    if (dice() % 5 == 0) in.through.clear();
    EXPECT_TRUE(reconciler.apply(desired_path(in)).errors.empty());
    auto fresh = with_tunnel();
    reconciler_of(fresh).apply(desired_path(in));
    std::sort(kernel.addresses.begin(), kernel.addresses.end());
    std::sort(fresh.addresses.begin(), fresh.addresses.end());
    ASSERT_EQ(kernel.addresses, fresh.addresses) << round;
    // A table that changed by elements has another listing in the kernel in memory, which keeps
    // texts: tests/netlink/nft_table_test compares the tables.
    ASSERT_EQ(kernel.nft.size(), fresh.nft.size());
    fresh.nft = kernel.nft;
    ASSERT_EQ(kernel.whole(), fresh.whole()) << round;
    ASSERT_EQ(reconciler.apply(desired_path(in)), netlink::PassReport{});
  }
}

TEST(NftTable, IsAsReviewed) {
  auto in = input(1);
  in.local = {net("10.1.0.0/24"), net("10.1.0.0/16"), net("fd00:1::/64")};
  const auto text = text_of(in);
  const std::string path = std::string(CW_SOURCE_DIR) + "/tests/golden/gateway_path.nft";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

// Without the limit, 17,644 connections in 12 s stopped the traffic of others for a second.
TEST(NftTable, LimitsNewConnectionsToTheFeedBySource) {
  auto in = input();
  in.feed_connections = 7;
  const auto text = text_of(in);
  EXPECT_NE(text.find("chain feed-calls-1 {\n\t\tlimit rate over 7/second burst 28 packets drop"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("ip6 saddr vmap { fd34::1 : jump feed-calls-0, fd34::2 : jump feed-calls-1 }"),
      std::string::npos)
      << text;
  // Before the rules that accept, so that it takes effect.
  EXPECT_LT(text.find("jump feed-calls\n"), text.find("ip6 daddr fd12::1 accept")) << text;
  in.remote_controls.clear();
  EXPECT_EQ(text_of(in).find("vmap"), std::string::npos);
}

TEST(NftTable, HasNoRuleThatASourcePortOpens) {
  auto in = input();
  const auto text = text_of(in);
  const auto guard = text.substr(text.find("chain from-tunnel"));
  EXPECT_EQ(guard.substr(0, guard.find('}')).find("sport"), std::string::npos) << text;
  // The only rule with a source port is for answers to flows that the gateway itself translated.
  const auto at = text.find("sport");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(text.substr(at, text.find('\n', at) - at), "sport 4795 ct status dnat accept");
  EXPECT_EQ(text.find("sport", at + 1), std::string::npos);
}

TEST(NftTable, TakesTheGatewaysPortsFromRemoteGatewaysOnly) {
  const auto text = text_of(input());
  std::istringstream lines(text);
  std::size_t ports = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" dport ") == std::string::npos || line.find("accept") == std::string::npos ||
        line.find("ct status dnat") != std::string::npos) {
      continue;
    }
    ++ports;
    EXPECT_NE(line.find("saddr @gateways"), std::string::npos) << line;
    EXPECT_TRUE(line.find("daddr fd12::1 ") != std::string::npos ||
                line.find("daddr 240.1.1.1 ") != std::string::npos)
        << line;
  }
  EXPECT_EQ(ports, 3U);
}

TEST(NftTable, WithoutRemotesAndPodsItIsStillATable) {
  auto in = input();
  in.local.clear();
  in.remote_controls.clear();
  in.through.clear();
  EXPECT_EQ(text_of(in).find("{  }"), std::string::npos) << text_of(in);
}

TEST(NftTable, SendsNodesProbesOnFromItsOwnAddress) {
  const auto text = text_of(input());
  EXPECT_NE(text.find("iifname \"cw-vx\" udp dport 4795 dnat ip to ip daddr map "
                      "{ 245.0.0.1 : 241.2.2.2 }"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("dnat ip6 to ip6 daddr map { fd99::1 : fd34::1 }"), std::string::npos);
  // Only translated flows: pods' own traffic to that port is not touched.
  EXPECT_NE(text.find("oifname \"cw-wg\" udp dport 4795 ct status dnat meta nfproto ipv4 snat ip "
                      "to 240.1.1.1:10000-65535"),
            std::string::npos);
}

}  // namespace
}  // namespace cw::gateway
