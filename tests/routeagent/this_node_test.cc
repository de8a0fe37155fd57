// This node's own gateway, a gateway that moved away, and pods that no remote cluster reaches.
#include "routeagent/node/this_node.h"

#include <gtest/gtest.h>

#include "routeagent/node/vtep.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::routeagent {
namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

constexpr OverlayKey kKey{'k', 'e', 'y'};

NodeView node(const std::string& name, int number) {
  const auto n = std::to_string(number);
  return {name, ip("10.0.0." + n), {net("10.1." + n + ".0/24"), net("fd01:" + n + "::/64")}};
}

// What node `self` of g0 (1), g1 (2), w0 (3), w1 (4) sees.
Seen cluster_seen_from(const std::string& self) {
  Seen in;
  for (auto view : {node("g0", 1), node("g1", 2), node("w0", 3), node("w1", 4)}) {
    if (view.name == self) {
      in.self = view;
    } else {
      in.others.push_back(view);
    }
  }
  in.gateways = {{0, "g0", ip("10.0.0.1")}, {1, "g1", ip("10.0.0.2")}};
  in.remotes = {{"west", {net("10.2.0.0/16"), net("fd02::/32")}}};
  in.overlay = kKey;
  in.host.underlay_mtu = 1500;
  in.host.underlay_link = "eth0";
  return in;
}

Seen with_keys(Seen in) {
  std::array<std::uint8_t, 32> bytes{};
  for (auto& gateway : in.gateways) {
    bytes[0] = static_cast<std::uint8_t>(gateway.ordinal + 1);
    gateway.key = tunnel::Key(bytes);
  }
  for (const std::uint8_t n : {std::uint8_t{7}, std::uint8_t{8}}) {
    bytes[0] = n;
    in.remotes.front().gateways.insert(tunnel::Key(bytes));
  }
  in.host.prefer_src = {{Family::kV4, ip("10.1.3.1")}, {Family::kV6, ip("fd01:3::1")}};
  return in;
}

Seen gateway_node() {
  auto in = with_keys(cluster_seen_from("g0"));
  in.host.tunnel_up = true;
  in.host.tunnel_mtu = 1420;
  in.host.tunnel_kind = "tun";
  for (const auto family : {Family::kV4, Family::kV6}) {
    in.host.tunnel_addresses.insert(tunnel::probe_address(*in.gateways[0].key, family));
  }
  return in;
}

TEST(ForwardingTargets, AGatewayNodeProbesItsOwnTunnelFromTheGatewaysAddresses) {
  auto in = gateway_node();
  ASSERT_NE(own_gateway(in), nullptr);
  const auto targets = own_targets(in);
  ASSERT_EQ(targets.size(), 2U * 2) << "two remote gateways, two families";
  for (const auto& target : targets) {
    EXPECT_EQ(target.gateway, 0U);
    EXPECT_EQ(desired_state(in, {}).routes.count({7487, Prefix::host(target.address)}), 0U)
        << "the gateway's own routes lead there";
  }
  in.host.tunnel_addresses.clear();
  EXPECT_TRUE(own_targets(in).empty()) << "the device has no address yet";
  EXPECT_TRUE(own_targets(with_keys(cluster_seen_from("w0"))).empty());
}

TEST(StrayTunnel, IsADeviceWithTheKeyOfAGatewayOnAnotherNode) {
  auto in = gateway_node();
  EXPECT_EQ(moved_gateway(in), nullptr);
  in.gateways[0].node = "w0";
  ASSERT_NE(moved_gateway(in), nullptr);
  EXPECT_EQ(moved_gateway(in)->ordinal, 0U);
  EXPECT_EQ(desired_state(in, {}).stray_tunnel, "");
  in.stray_tunnel = true;
  EXPECT_EQ(desired_state(in, {}).stray_tunnel, "tun");
  in.gateways[1].node = "g0";
  EXPECT_EQ(moved_gateway(in), nullptr) << "another gateway is here now";
}

TEST(UnservedPods, ANodeWithoutPodCidrSaysSo) {
  auto in = cluster_seen_from("w0");
  EXPECT_TRUE(unserved_pods(in).empty());
  in.self.pod_cidrs.clear();
  ASSERT_EQ(unserved_pods(in).size(), 1U);
  EXPECT_NE(unserved_pods(in)[0].find("Node w0 has no pod prefix in Node.spec.podCIDRs"),
            std::string::npos);
  EXPECT_EQ(desired_state(in, {}).problems, unserved_pods(in));
  in.prefix_strangers = {"w0.example.com"};  // the pod network calls its nodes by other names
  EXPECT_NE(unserved_pods(in)[0].find("no Nodes: w0.example.com"), std::string::npos);
  in.remotes.clear();
  EXPECT_TRUE(unserved_pods(in).empty()) << "nothing is missed";
}

TEST(UnservedPods, PodsOutsideOfTheirNodesPrefixAreNamed) {
  auto in = cluster_seen_from("w0");
  in.host.pods = {{ip("10.1.3.7"), "cali1"}, {ip("192.168.7.1"), "cali2"}};
  ASSERT_EQ(unserved_pods(in).size(), 1U);
  EXPECT_NE(unserved_pods(in)[0].find("192.168.7.1 (cali2). Remote"), std::string::npos)
      << unserved_pods(in)[0];
  EXPECT_NE(unserved_pods(in)[0].find("in Node.spec.podCIDRs"), std::string::npos);
  EXPECT_NE(unserved_pods(in)[0].find("No known object has these"), std::string::npos);
  for (int n = 2; n < 9; ++n) {
    in.host.pods.emplace_back(ip("192.168.7." + std::to_string(n)), "cali");
  }
  EXPECT_NE(unserved_pods(in)[0].find("and 5 more"), std::string::npos) << unserved_pods(in)[0];
  in.forward_ours_only = true;
  EXPECT_TRUE(unserved_pods(in).empty()) << "a host without a CNI";
}

TEST(UnservedPods, TheSourceThatWouldBeRightIsNamed) {
  auto in = cluster_seen_from("w0");
  in.host.pods = {{ip("192.168.7.1"), "cali2"}};
  in.own_by_source = {{prefixes::Source::kNode, in.self.pod_cidrs},
                      {prefixes::Source::kCalico, {*Prefix::parse("192.168.7.0/26")}}};
  ASSERT_EQ(unserved_pods(in).size(), 1U);
  EXPECT_NE(unserved_pods(in)[0].find(
                "BlockAffinities (Calico) would be right: set prefixes.source to calico"),
            std::string::npos)
      << unserved_pods(in)[0];
}

// A bridge of another pod network than the one whose prefixes are known.
TEST(PodsOfHost, ABridgeCountsWhileNothingUsesTheKnownPrefixes) {
  const NodeView self{"w0", ip("172.16.0.3"), {*Prefix::parse("10.1.3.0/24")}};
  const std::vector<netlink::Link> links{{4, "br-pods", "bridge", 1500, true, {}},
                                         {5, "veth1", "veth", 1500, true, {}, 4},
                                         {6, "br-empty", "bridge", 1500, true, {}}};
  std::vector<netlink::Address> addresses{{"br-pods", ip("10.99.0.1"), 24},
                                          {"br-pods", ip("fe80::1"), 64},
                                          {"br-empty", ip("10.98.0.1"), 24}};
  const auto seen = pods_of(links, addresses, {}, "eth0", self);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].first, ip("10.99.0.1"));
  addresses.push_back({"cni0", ip("10.1.3.1"), 24});
  EXPECT_TRUE(pods_of(links, addresses, {}, "eth0", self).empty()) << "another program's bridge";
}

TEST(PodsOfHost, TheHostsOwnVethIsNoPod) {
  const NodeView self{"w0", ip("172.16.0.3"), {*Prefix::parse("10.1.3.0/24")}};
  netlink::Connected connected;
  connected.pods = {{ip("172.16.0.1"), "eth0"}, {ip("10.1.3.7"), "cali1"}};
  const auto seen = pods_of({}, {}, connected, "eth0", self);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].second, "cali1");
}

}  // namespace
}  // namespace cw::routeagent
