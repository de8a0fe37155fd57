// A node of a cluster whose pods' addresses belong to no node: 10.1.0.0/16 is everywhere.
#include "routeagent/node/whole_cluster.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "netlink/owner.h"
#include "routeagent/node/nft.h"
#include "routeagent/node/this_node.h"
#include "routeagent/node/vtep.h"

namespace cw::routeagent {
namespace {

using netlink::Route;
using netlink::RouteType;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

constexpr OverlayKey kKey{'k', 'e', 'y'};
const std::vector<Prefix> ranges{*Prefix::parse("10.1.0.0/16"), *Prefix::parse("fd01::/32")};

// What node `self` of g0 (1), g1 (2), w0 (3) sees. The nodes' addresses are inside the range.
Seen seen_from(const std::string& self) {
  Seen in;
  int number = 0;
  for (const auto* name : {"g0", "g1", "w0"}) {
    const auto address = ip("10.1.0." + std::to_string(++number));
    in.node_addresses.push_back(address);
    NodeView view{name, address, {}};
    if (self == name) {
      view.pod_cidrs = ranges;
      view.whole = true;
      in.self = view;
    } else {
      in.others.push_back(view);
    }
  }
  std::array<std::uint8_t, 32> key{1};
  in.gateways = {{0, "g0", ip("10.1.0.1"), tunnel::Key(key)}};
  key[0] = 2;
  in.gateways.push_back({1, "g1", ip("10.1.0.2"), tunnel::Key(key)});
  key[0] = 7;
  in.remotes = {{"west", {net("10.2.0.0/16"), net("fd02::/32")}, {tunnel::Key(key)}}};
  in.overlay = kKey;
  in.host.underlay_mtu = 1500;
  in.host.underlay_link = "eth0";
  in.host.carriers = {"eth0", "vxlan.pods"};
  in.host.carrier_mtu = 1400;
  return in;
}

const Route& from_tunnel(const NodeState& state, std::string_view dst) {
  return state.routes.at({netlink::kFromTunnelTable, net(dst)});
}

std::string chain(const NodeState& state, std::string_view name) {
  for (const auto& one : state.nft->chains) {
    if (one.name == name) return fmt::format("{}", fmt::join(one.rules, "\n"));
  }
  return "no such chain";
}

std::string elements(const NodeState& state, std::string_view name) {
  for (const auto& one : state.nft->sets) {
    if (one.name == name) return one.elements;
  }
  return "no such set";
}

TEST(WholeCluster, TheGatewaysHostDeliversByItsOwnRoutesAndNotToNodes) {
  const auto state = desired_state(seen_from("g0"), {});
  EXPECT_EQ(from_tunnel(state, "10.1.0.0/16").type, RouteType::kThrow);
  EXPECT_EQ(from_tunnel(state, "fd01::/32").type, RouteType::kThrow);
  for (const auto* node : {"10.1.0.1/32", "10.1.0.2/32", "10.1.0.3/32"}) {
    EXPECT_EQ(from_tunnel(state, node).type, RouteType::kUnreachable) << node;
  }
  EXPECT_EQ(from_tunnel(state, "0.0.0.0/0").type, RouteType::kUnreachable);
}

TEST(WholeCluster, EveryNodeHasASourceForProbesThatGatewaysKnow) {
  const auto worker = seen_from("w0");
  const auto source = probe_source(worker, Family::kV4);
  ASSERT_TRUE(source.has_value());
  EXPECT_TRUE(net("240.0.0.0/4").contains(*source));
  EXPECT_EQ(forwarding_targets(worker).size(), 4U) << "two gateways, two families";
  const auto here = desired_state(worker, {});
  ASSERT_EQ(here.links.front().name, netlink::kVxlanLink);
  EXPECT_EQ(here.links.front().addresses.count({std::string(netlink::kVxlanLink), *source, 32}),
            1U);

  const auto gateway = desired_state(seen_from("g0"), {});
  const auto& route = from_tunnel(gateway, Prefix::host(*source).to_string());
  EXPECT_EQ(route.link, netlink::kVxlanLink);
  EXPECT_EQ(route.gateway, vtep_address(kKey, ip("10.1.0.3")));
  EXPECT_NE(elements(gateway, "sources4").find(source->to_string()), std::string::npos);
}

TEST(WholeCluster, AnyNodeMaySendFromAnyAddressOfTheRange) {
  const auto sources = elements(desired_state(seen_from("g0"), {}), "sources4");
  for (const auto* node : {"10.1.0.2", "10.1.0.3"}) {
    const auto mac = netlink::to_string(vtep_mac(kKey, ip(node)));
    EXPECT_NE(sources.find(mac + " . 10.1.0.0/16"), std::string::npos) << sources;
  }
}

TEST(WholeCluster, WhatGoesOnToAnotherNodeIsKnownByItsDevice) {
  const auto transit = chain(desired_state(seen_from("g0"), {}), "transit");
  EXPECT_NE(transit.find(R"(ip daddr @local4 fib daddr oifname { "eth0", "vxlan.pods" } notrack)"),
            std::string::npos)
      << transit;
  EXPECT_EQ(transit.find("@own4"), std::string::npos);
}

TEST(WholeCluster, PacketsOfRemotePodsThatThePodNetworkBringsPassTheGuardOfClosedPrefixes) {
  const auto state = desired_state(seen_from("w0"), {});
  const auto arrivals = chain(state, "arrivals");
  EXPECT_NE(arrivals.find(R"(iifname { "eth0", "vxlan.pods" } ip saddr @remote4 ip daddr @local4 )"
                          "ip daddr != @nodes4 meta mark set 0x1057"),
            std::string::npos)
      << arrivals;
  EXPECT_NE(chain(state, "guard").find("ip daddr != @nodes4 jump from-pod-network"),
            std::string::npos);
  auto prefixes = seen_from("w0");
  prefixes.self.whole = false;
  EXPECT_EQ(chain(desired_state(prefixes, {}), "arrivals"), "no such chain");
}

TEST(WholeCluster, PacketsFitTheDevicesOfThePodNetwork) {
  const auto mss = chain(desired_state(seen_from("w0"), {}), "mss");
  EXPECT_NE(mss.find("maxseg size set 1360"), std::string::npos) << mss;
}

TEST(WholeCluster, TheHostsOwnPacketsAreRefusedWhateverTheirSource) {
  const auto refused = chain(desired_state(seen_from("w0"), {}), "host-refused");
  EXPECT_NE(refused.find("ip daddr @remote4 counter"), std::string::npos) << refused;
}

TEST(WholeCluster, OfTheHostsAddressesInsideTheRangeThatOfTheNodeIsNoPodNetworks) {
  const std::vector<netlink::Link> links{{1, "lo", "", 65536, true},
                                         {2, "eth0", "", 1500, true},
                                         {3, "vxlan.pods", "vxlan", 1450, true},
                                         {4, "eni1", "veth", 9000, true},
                                         {5, "cw-vx", "vxlan", 1420, true}};
  const std::vector<netlink::Address> addresses{{"eth0", ip("10.1.0.3"), 24},
                                                {"eth0", ip("10.1.0.9"), 24},
                                                {"vxlan.pods", ip("10.1.7.0"), 32}};
  const auto facts = host_facts(links, addresses, seen_from("w0").self);
  EXPECT_EQ(facts.prefer_src.at(Family::kV4), ip("10.1.7.0"));
  EXPECT_FALSE(facts.shares_link);
  EXPECT_EQ(facts.carriers, (std::vector<std::string>{"eth0", "vxlan.pods"}));
  EXPECT_EQ(facts.carrier_mtu, 1450U);
}

TEST(WholeCluster, AStrictReversePathCheckIsFoundWhereThePodNetworkBringsPackets) {
  const std::vector<std::string> carriers{"eth0", "vxlan.pods"};
  EXPECT_TRUE(strict_links(carriers, {}).empty());
  EXPECT_TRUE(strict_links(carriers, {{"all", 2}}).empty());
  EXPECT_TRUE(strict_links(carriers, {{"cali1", 1}}).empty());
  EXPECT_EQ(strict_links(carriers, {{"all", 1}}), carriers);
  EXPECT_EQ(strict_links(carriers, {{"all", 1}, {"eth0", 2}}),
            std::vector<std::string>{"vxlan.pods"});
  EXPECT_EQ(strict_links(carriers, {{"eth0", 1}}), std::vector<std::string>{"eth0"});

  auto seen = seen_from("w0");
  EXPECT_TRUE(whole_cluster_problems(seen).empty());
  seen.host.strict = {"eth0"};
  ASSERT_EQ(whole_cluster_problems(seen).size(), 1U);
  EXPECT_NE(whole_cluster_problems(seen).front().find("Set net/ipv4/conf/eth0/rp_filter to 2"),
            std::string::npos);
  seen.self.whole = false;
  EXPECT_TRUE(whole_cluster_problems(seen).empty()) << "with prefixes packets come over cw-vx";
}

TEST(WholeCluster, PodsAnywhereInTheRangeAreServed) {
  auto seen = seen_from("w0");
  seen.host.pods = {{ip("10.1.200.7"), "eni1"}};
  EXPECT_TRUE(unserved_pods(seen).empty());
  seen.host.pods.emplace_back(ip("10.9.0.7"), "eni2");
  ASSERT_EQ(unserved_pods(seen).size(), 1U);
  EXPECT_NE(unserved_pods(seen).front().find("10.9.0.7"), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
