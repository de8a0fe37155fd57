// The wanted state of a node of a small cluster: two gateway nodes, two workers, one remote
// cluster. docs/protocol/datapath.md is the specification.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "netlink/hold.h"
#include "netlink/owner.h"
#include "routeagent/closed/guard.h"
#include "routeagent/node/nft.h"
#include "routeagent/node/vtep.h"
#include "tests/routeagent/node_kernel.h"
#include "tests/routeagent/situation.h"

namespace cw::routeagent {
namespace {

using netlink::behind_hold;
using netlink::bypass_rules;
using netlink::hold_address;
using netlink::hold_nexthop;
using netlink::Nexthop;
using netlink::Route;
using netlink::RouteType;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix net(std::string_view text) { return *Prefix::parse(text); }

constexpr OverlayKey kKey{'k', 'e', 'y'};

NodeView node(const std::string& name, int number) {
  const auto n = std::to_string(number);
  return {name, ip("10.0.0." + n), {net("10.1." + n + ".0/24"), net("fd01:" + n + "::/64")}};
}

// The inputs of node `self` of g0 (1), g1 (2), w0 (3), w1 (4). Gateway 0 carries both families to
// west.
Situation cluster_seen_from(const std::string& self) {
  Situation in;
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
  in.decided = true;
  for (const auto family : {Family::kV4, Family::kV6})
    in.choices[{"west", family}] = {0, "home", {}};
  return in;
}

Situation with_keys(Situation in) {
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

std::uint32_t id_of(const Situation& in, const std::string& cluster, Family family) {
  return nexthop_ids(in.remotes).at({cluster, family});
}

const Route& route(const NodeState& state, std::uint32_t table, std::string_view dst) {
  return state.routes.at({table, net(dst)});
}

TEST(Vtep, IsDerivedFromTheUnderlayAddressAndTheSecret) {
  // HMAC-SHA256, computed with Python.
  EXPECT_EQ(vtep_mac(kKey, ip("10.0.0.1")), (netlink::Mac{0x02, 0xc4, 0x81, 0xa6, 0x6d, 0x2d}));
  EXPECT_EQ(vtep_mac(kKey, ip("fd00::1")), (netlink::Mac{0x02, 0x7d, 0x30, 0xc8, 0x29, 0xf2}));
  EXPECT_EQ(overlay_vni(kKey), 10307000U);
  EXPECT_EQ(link_local_of({0x02, 0x11, 0x22, 0x33, 0x44, 0x55}), ip("fe80::11:22ff:fe33:4455"));
  const OverlayKey other{'o'};
  EXPECT_NE(vtep_mac(other, ip("10.0.0.1")), vtep_mac(kKey, ip("10.0.0.1")));
  EXPECT_NE(overlay_vni(other), overlay_vni(kKey));
}

TEST(Vtep, TheVniHasItsRangeAndIsNeverZero) {
  OverlayKey key{};
  for (int n = 0; n < 1000; ++n) {
    key[0] = static_cast<std::uint8_t>(n);
    key[1] = static_cast<std::uint8_t>(n >> 8);
    EXPECT_GE(overlay_vni(key), 1U);
    EXPECT_LE(overlay_vni(key), 0xffffffU);
  }
}

TEST(VxlanMtu, LeavesRoomForItselfAndForTheTunnel) {
  EXPECT_EQ(vxlan_mtu(1500, Family::kV4, 0), 1420U);
  EXPECT_EQ(vxlan_mtu(1450, Family::kV4, 0), 1400U);
  EXPECT_EQ(vxlan_mtu(1450, Family::kV6, 0), 1380U);
  EXPECT_EQ(vxlan_mtu(9000, Family::kV4, 1420), 1420U);
  EXPECT_EQ(vxlan_mtu(9000, Family::kV4, 8900), 8900U);
  EXPECT_EQ(vxlan_mtu(1500, Family::kV4, 1300), 1300U);
  EXPECT_EQ(vxlan_mtu(576, Family::kV4, 0), 1280U) << "IPv6's least";
}

TEST(NodeState, EveryOtherNodeIsANeighbourAndAForwardingEntry) {
  const auto state = desired_state(cluster_seen_from("w0"));
  EXPECT_EQ(cw_vx(state).vxlan->name, "cw-vx");
  EXPECT_EQ(cw_vx(state).vxlan->vni, overlay_vni(kKey));
  EXPECT_EQ(cw_vx(state).vxlan->port, 4799);
  EXPECT_EQ(cw_vx(state).vxlan->local, ip("10.0.0.3"));
  EXPECT_EQ(cw_vx(state).vxlan->mac, vtep_mac(kKey, ip("10.0.0.3")));
  EXPECT_EQ(cw_vx(state).vxlan->mtu, 1420U);
  EXPECT_EQ(cw_vx(state).addresses.begin()->address, vtep_address(kKey, ip("10.0.0.3")));
  EXPECT_EQ(cw_vx(state).fdb.size(), 3U);
  EXPECT_EQ(cw_vx(state).neighbours.size(), 3U);
  for (const auto* other : {"10.0.0.1", "10.0.0.2", "10.0.0.4"}) {
    const auto mac = vtep_mac(kKey, ip(other));
    EXPECT_EQ(cw_vx(state).fdb.at(mac), ip(other));
    EXPECT_EQ(cw_vx(state).neighbours.at(link_local_of(mac)), mac);
  }
  EXPECT_TRUE(state.problems.empty());
}

TEST(NodeState, AWorkerRoutesToTheChosenGateway) {
  const auto in = cluster_seen_from("w0");
  const auto state = desired_state(in);
  for (const auto family : {Family::kV4, Family::kV6}) {
    const auto id = id_of(in, "west", family);
    EXPECT_EQ(state.nexthops.at(id),
              (Nexthop{id, "cw-vx", vtep_address(kKey, ip("10.0.0.1")), Family::kV6, false}));
    const auto& to = route(state, 7487, family == Family::kV4 ? "10.2.0.0/16" : "fd02::/32");
    EXPECT_EQ(to.type, RouteType::kUnicast);
    EXPECT_EQ(to.nexthop_id, id);
    EXPECT_EQ(to.prefer_src, std::nullopt);
  }
  EXPECT_EQ(state.routes.size(), 2U) << "a worker has no table 7485";
  auto rules = bypass_rules({});
  rules.insert({{Family::kV4, 92, 7487, ""}, {Family::kV6, 92, 7487, ""}});
  EXPECT_EQ(state.rules, rules);
}

TEST(NodeState, WithoutTheSecretNothingOfTheOverlayIsMade) {
  auto in = cluster_seen_from("g0");
  in.overlay.reset();
  in.decided = false;
  in.choices.clear();
  const auto state = desired_state(in);
  EXPECT_EQ(cw_vx(state).vxlan, std::nullopt);
  EXPECT_TRUE(cw_vx(state).fdb.empty());
  EXPECT_TRUE(cw_vx(state).neighbours.empty());
  EXPECT_TRUE(forwarding_targets(with_keys(in)).empty());
  for (const auto& [key, way] : state.routes) EXPECT_NE(way.link, "cw-vx");
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").type, RouteType::kUnreachable);
  EXPECT_NE(nft_of(state).find("chain overlay-source"), std::string::npos) << "the guard stands";
}

TEST(NodeState, TheHomeGatewayItselfUsesItsTunnel) {
  auto in = cluster_seen_from("g0");
  in.host.tunnel_up = true;
  in.host.tunnel_mtu = 1420;
  const auto state = desired_state(in);
  for (const auto family : {Family::kV4, Family::kV6}) {
    const auto id = id_of(in, "west", family);
    EXPECT_EQ(state.nexthops.at(id), (Nexthop{id, "cw-wg", std::nullopt, family, false}));
  }
  in.host.tunnel_up = false;
  EXPECT_EQ(route(desired_state(in), 7487, "10.2.0.0/16").type, RouteType::kUnreachable);
}

TEST(NodeState, AGatewayNodeDeliversWhatComesFromTheTunnelToPodsAndNothingElse) {
  const auto state = desired_state(cluster_seen_from("g0"));
  EXPECT_EQ(route(state, 7485, "0.0.0.0/0").type, RouteType::kUnreachable);
  EXPECT_EQ(route(state, 7485, "::/0").type, RouteType::kUnreachable);
  EXPECT_EQ(route(state, 7485, "10.1.1.0/24").type, RouteType::kThrow);
  EXPECT_EQ(route(state, 7485, "fd01:1::/64").type, RouteType::kThrow);
  for (const auto* dst : {"10.1.3.0/24", "fd01:3::/64"}) {
    const auto& to = route(state, 7485, dst);
    EXPECT_EQ(to.type, RouteType::kUnicast);
    EXPECT_EQ(to.link, "cw-vx");
    EXPECT_EQ(to.gateway, vtep_address(kKey, ip("10.0.0.3")));
  }
  EXPECT_EQ(state.routes.size(), 2U + 2 + 8);
  EXPECT_EQ(state.rules.count({Family::kV4, 90, 7485, "cw-wg"}), 1U);
  EXPECT_EQ(state.rules.count({Family::kV6, 90, 7485, "cw-wg"}), 1U);
}

TEST(NodeState, PacketsForTheTunnelsOwnAddressesReachTheHostWhereverItsLocalRuleIs) {
  auto in = cluster_seen_from("g0");
  in.host.tunnel_addresses = {ip("fd12::1"), ip("240.1.1.1"), ip("fe80::7")};
  const auto state = desired_state(in);
  for (const auto* own : {"fd12::1/128", "240.1.1.1/32"}) {
    EXPECT_EQ(route(state, 7485, own).type, RouteType::kThrow);
  }
  EXPECT_EQ(state.routes.count({7485, net("fe80::7/128")}), 0U);
}

TEST(NodeState, TheRulesWaitUntilTheGatewayHasMovedItsOwn) {
  auto in = cluster_seen_from("g0");
  in.host.transit_rule = 7486;  // of a gateway that was not updated yet
  auto state = desired_state(in);
  EXPECT_EQ(state.priorities, (netlink::RulePriorities{7484}));
  EXPECT_EQ(state.rules.count({Family::kV4, 7487, 7487, ""}), 1U);
  EXPECT_EQ(state.rules.count({Family::kV4, 7485, 7485, "cw-wg"}), 1U);
  in.host.transit_rule = 91;
  state = desired_state(in);
  EXPECT_EQ(state.rules.count({Family::kV4, 92, 7487, ""}), 1U);
  auto worker = cluster_seen_from("w0");
  worker.host.transit_rule = 7486;  // a gateway that has gone left it
  EXPECT_EQ(desired_state(worker).priorities, netlink::RulePriorities{});
}

TEST(NodeState, ATunnelDeviceMakesANodeAGatewayNode) {
  auto in = cluster_seen_from("w0");
  in.host.tunnel_mtu = 1420;
  EXPECT_EQ(desired_state(in).rules.size(), 8U)
      << "guarded even before its TunnelGateway object is seen";
}

TEST(NodeState, WithoutAGatewayRoutesAreUnreachable) {
  auto in = cluster_seen_from("w0");
  in.choices[{"west", Family::kV4}].ordinal.reset();
  const auto state = desired_state(in);
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").type, RouteType::kUnreachable);
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").nexthop_id, 0U);
  EXPECT_EQ(route(state, 7487, "fd02::/32").type, RouteType::kUnicast) << "families are apart";
  EXPECT_EQ(state.nexthops.size(), 1U);
  in.choices[{"west", Family::kV6}].ordinal = 9;  // there is no such gateway
  EXPECT_TRUE(desired_state(in).nexthops.empty());
}

TEST(NodeState, UndecidedItChoosesNothing) {
  auto in = cluster_seen_from("w0");
  in.decided = false;
  const auto state = desired_state(in);
  EXPECT_FALSE(state.decided);
  EXPECT_TRUE(state.nexthops.empty());
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").type, RouteType::kUnreachable);
}

TEST(NodeState, TheHostsOwnTrafficCarriesAPodAddress) {
  auto in = cluster_seen_from("w0");
  in.host.prefer_src[Family::kV4] = ip("10.1.3.1");
  const auto state = desired_state(in);
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").prefer_src, ip("10.1.3.1"));
  EXPECT_EQ(route(state, 7487, "fd02::/32").prefer_src, std::nullopt);
}

TEST(NodeState, SeveralPodPrefixesOfOneNodeAreAllDelivered) {
  auto in = cluster_seen_from("g0");
  in.others[1].pod_cidrs.push_back(net("10.1.33.0/24"));
  in.self.pod_cidrs.push_back(net("10.1.11.0/24"));
  const auto state = desired_state(in);
  EXPECT_EQ(route(state, 7485, "10.1.33.0/24").gateway, vtep_address(kKey, ip("10.0.0.3")));
  EXPECT_EQ(route(state, 7485, "10.1.11.0/24").type, RouteType::kThrow);
}

TEST(NodeState, IPv6IsForwardedOnlyWherePodsHaveIt) {
  auto in = cluster_seen_from("w0");
  EXPECT_EQ(desired_state(in).sysctls,
            (std::map<std::string, std::string>{{"ipv4/ip_forward", "1"},
                                                {"ipv6/conf/all/forwarding", "1"}}));
  in.self.pod_cidrs = {net("10.1.3.0/24")};
  for (auto& other : in.others) other.pod_cidrs.resize(1);
  EXPECT_EQ(desired_state(in).sysctls,
            (std::map<std::string, std::string>{{"ipv4/ip_forward", "1"}}));
  EXPECT_EQ(cw_vx(desired_state(in)).sysctls.at("ipv4/conf/cw-vx/rp_filter"), "2");
}

TEST(NodeState, RemoteClaimsNeverTakeLocalPodsOrTheUnderlay) {
  auto in = cluster_seen_from("w0");
  in.remotes = {{"west", {net("10.1.0.0/16"), net("10.0.0.0/8"), net("10.2.0.0/16")}},
                {"evil", {net("10.0.0.4/32"), net("10.2.0.0/16")}}};
  const auto state = desired_state(in);
  EXPECT_EQ(state.routes.size(), 1U);
  EXPECT_EQ(state.routes.count({7487, net("10.2.0.0/16")}), 1U);
  EXPECT_EQ(state.problems, (std::vector<std::string>{
                                "cluster evil: 10.0.0.4/32 overlaps 10.0.0.4/32 of this cluster",
                                "cluster west: 10.1.0.0/16 overlaps 10.1.1.0/24 of this cluster",
                                "cluster west: 10.0.0.0/8 overlaps 10.0.0.1/32 of this cluster",
                                "clusters evil and west both claim 10.2.0.0/16"}));
}

// A peer may claim a node's own networks. Each node refuses them.
TEST(NodeState, RemoteClaimsNeverTakeTheHostsOwnNetworks) {
  auto in = cluster_seen_from("w0");
  in.host.networks = host_networks(
      std::vector<netlink::Address>{{"eth0", ip("203.0.113.5"), 24}, {"cw-vx", ip("10.3.0.1"), 32}},
      {{net("203.0.113.0/24"), net("192.168.9.0/24")}, {ip("198.51.100.1")}});
  in.remotes = {
      {"west",
       {net("10.2.0.0/16"), net("10.3.0.0/16"), net("203.0.113.5/32"), net("198.51.100.1/32"),
        net("192.168.0.0/16"), net("127.0.0.0/8"), net("169.254.169.254/32"), net("224.0.0.0/4"),
        net("240.0.0.0/4"), net("fe80::/64"), net("ff00::/8"), net("0.0.0.0/0")}}};
  const auto state = desired_state(in);
  EXPECT_EQ(state.routes.size(), 2U);
  EXPECT_EQ(state.routes.count({7487, net("10.2.0.0/16")}), 1U);
  EXPECT_EQ(state.routes.count({7487, net("10.3.0.0/16")}), 1U) << "our own device's address";
  EXPECT_EQ(state.problems.size(), 10U);
  EXPECT_EQ(state.problems.at(1),
            "cluster west: 198.51.100.1/32 is not routed: it overlaps 198.51.100.1/32 (the default "
            "router of this host)");
}

TEST(NodeState, ProblemsInNodesAreToldAndTheRestHolds) {
  auto in = cluster_seen_from("w0");
  in.host.underlay_mtu = 0;
  in.others.push_back({"w2", ip("10.0.0.4"), {net("10.1.3.0/24")}});
  in.others.push_back({"w3", ip("fd00::9"), {net("10.1.9.0/24")}});
  const auto state = desired_state(in);
  EXPECT_EQ(state.problems.size(), 4U);
  EXPECT_EQ(cw_vx(state).vxlan->mtu, 1420U);
  EXPECT_EQ(cw_vx(state).fdb.size(), 3U);
}

TEST(NexthopIds, FollowFromTheClusterIdsAndNeverCollide) {
  std::vector<RemoteView> remotes;
  for (int i = 0; i < 2000; ++i) remotes.push_back({"cluster-" + std::to_string(i), {}});
  const auto ids = nexthop_ids(remotes);
  std::set<std::uint32_t> seen;
  for (const auto& [key, id] : ids) {
    EXPECT_GE(id, netlink::kNexthopBase);
    EXPECT_LT(id, netlink::kNexthopBase + 65536);
    EXPECT_TRUE(seen.insert(id).second) << key.cluster;
  }
  EXPECT_EQ(seen.size(), 4000U);
  const std::vector<RemoteView> one{{"west", {}}};
  const std::vector<RemoteView> two{{"north", {}}, {"west", {}}};
  EXPECT_EQ(nexthop_ids(one).at({"west", Family::kV4}), nexthop_ids(two).at({"west", Family::kV4}));
}

TEST(HostFacts, AreReadFromLinksAndAddresses) {
  const auto self = node("w0", 3);
  const std::vector<netlink::Link> links{{1, "eth0", "", 1450, true, {}},
                                         {2, "cni0", "bridge", 1500, true, {}},
                                         {3, "cw-vx", "vxlan", 1400, true, {}},
                                         {4, "cw-wg", "wireguard", 1420, true, {}}};
  const std::vector<netlink::Address> addresses{{"eth0", ip("10.0.0.3"), 24},
                                                {"cni0", ip("10.1.3.9"), 24},
                                                {"cni0", ip("10.1.3.1"), 24},
                                                {"cni0", ip("fd01:3::1"), 64},
                                                {"cw-vx", ip("10.1.3.0"), 32}};
  const auto facts = host_facts(links, addresses, self);
  EXPECT_EQ(facts.underlay_mtu, 1450U);
  EXPECT_TRUE(facts.tunnel_up);
  EXPECT_EQ(facts.tunnel_mtu, 1420U);
  EXPECT_EQ(facts.vxlan_index, 3U);
  EXPECT_EQ(facts.underlay_link, "eth0");
  EXPECT_FALSE(facts.shares_link);
  EXPECT_EQ(facts.prefer_src, (std::map<Family, IpAddress>{{Family::kV4, ip("10.1.3.1")},
                                                           {Family::kV6, ip("fd01:3::1")}}));
  EXPECT_EQ(host_facts({}, {}, self), HostFacts{});
}

TEST(HostFacts, AnUnderlayAddressOnALoopbackDeviceNamesNoLink) {
  const auto self = node("w0", 3);
  for (const netlink::Link& link : {netlink::Link{1, "lo", "", 65536, true, {}},
                                    netlink::Link{4, "bgp0", "dummy", 1500, true, {}}}) {
    const auto facts = host_facts(
        std::vector{link}, std::vector<netlink::Address>{{link.name, self.underlay, 32}}, self);
    EXPECT_EQ(facts.underlay_link, "");
    EXPECT_EQ(facts.underlay_mtu, link.mtu);
  }
}

TEST(HostFacts, APodAddressOnTheUnderlaysLinkIsSeen) {
  const auto self = node("w0", 3);
  const std::vector<netlink::Link> links{{1, "br0", "bridge", 1500, true, {}}};
  const std::vector<netlink::Address> addresses{{"br0", ip("10.0.0.3"), 24},
                                                {"br0", ip("10.1.3.1"), 24}};
  EXPECT_TRUE(host_facts(links, addresses, self).shares_link);
}

TEST(ForwardingTargets, EveryRemoteGatewayIsProbedThroughEveryGatewayInBothFamilies) {
  const auto in = with_keys(cluster_seen_from("w0"));
  const auto targets = forwarding_targets(in);
  EXPECT_EQ(targets.size(), 2U * 2 * 2);
  const auto state = desired_state(in);
  for (const auto& target : targets) {
    const auto& way = state.routes.at({7487, Prefix::host(target.address)});
    EXPECT_EQ(way.gateway, vtep_address(kKey, ip(target.gateway == 0 ? "10.0.0.1" : "10.0.0.2")));
    EXPECT_EQ(way.prefer_src, in.host.prefer_src.at(target.family));
  }
}

TEST(ForwardingTargets, OnAGatewayNodeOnlyTheOthersAreProbed) {
  for (const auto& target : forwarding_targets(with_keys(cluster_seen_from("g0")))) {
    EXPECT_EQ(target.gateway, 1U);
  }
}

TEST(ForwardingTargets, NothingIsProbedWithoutKeysOrAnAddressToAskFrom) {
  auto in = with_keys(cluster_seen_from("w0"));
  in.host.prefer_src.erase(Family::kV4);
  for (const auto& target : forwarding_targets(in)) EXPECT_EQ(target.family, Family::kV6);
  in.host.prefer_src.clear();
  EXPECT_TRUE(forwarding_targets(in).empty());
  EXPECT_TRUE(forwarding_targets(cluster_seen_from("w0")).empty());
  in = with_keys(cluster_seen_from("w0"));
  in.remotes.front().prefixes = {net("10.2.0.0/16")};
  EXPECT_EQ(forwarding_targets(in).size(), 4U) << "IPv4 only";
}

TEST(PathMtu, AFloorIsPutOnTheRoutesAndClamped) {
  auto in = cluster_seen_from("w0");
  in.path_mtu[{"west", Family::kV4}] = 1300;
  const auto state = desired_state(in);
  EXPECT_EQ(route(state, 7487, "10.2.0.0/16").mtu, 1300U);
  EXPECT_EQ(route(state, 7487, "fd02::/32").mtu, 0U);
  for (const auto* side : {"saddr", "daddr"}) {
    EXPECT_NE(
        nft_of(state).find("ip " + std::string(side) +
                           " 10.2.0.0/16 tcp flags & (syn | rst) == syn tcp option maxseg size "
                           "set 1260"),
        std::string::npos)
        << nft_of(state);
  }
}

// The golden file has the whole nft text. UPDATE_GOLDEN=1 rewrites it; review the difference.
TEST(Nft, TableIsAsReviewed) {
  auto in = cluster_seen_from("g0");
  in.host.tunnel_up = true;
  in.host.tunnel_mtu = 1420;
  const auto text = nft_of(desired_state(in));
  const std::string path = std::string(CW_SOURCE_DIR) + "/tests/golden/routeagent_node.nft";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str());
}

TEST(Nft, ClampsToTheSmallerOfBothDevices) {
  auto in = cluster_seen_from("g0");
  in.host.tunnel_mtu = 1300;
  EXPECT_NE(nft_of(desired_state(in)).find("maxseg size set 1260"), std::string::npos);
  EXPECT_NE(nft_of(desired_state(in)).find("maxseg size set 1240"), std::string::npos);
}

TEST(Nft, EqualInputsInAnyOrderGiveEqualText) {
  NftInputs a{{net("10.1.1.0/24"), net("10.1.2.0/24")}, {}, {net("10.2.0.0/16")}, {}, 1420, {}, {}};
  NftInputs b{
      {net("10.1.2.0/24"), net("10.1.1.0/24"), net("10.1.1.0/24")}, {}, a.remote, {}, 1420, {}, {}};
  EXPECT_EQ(node_table(a), node_table(b));
}

TEST(Hold, ItsTwoQueuesHaveAddressesOfTheirOwn) {
  EXPECT_EQ(hold_address(0x5252aa01), *IpAddress::parse("fe80::ffff:ffff:5252:aa01"));
  EXPECT_EQ(behind_hold(0x5252aa01).gateway, *IpAddress::parse("fe80::ffff:fffe:5252:aa01"));
  EXPECT_TRUE(is_hold(hold_nexthop(7)));
  EXPECT_FALSE(is_hold(behind_hold(7)));
}

TEST(HostTraffic, GetsTheHostsAddressInsideThePodPrefixOrIsRefused) {
  auto in = with_keys(cluster_seen_from("w0"));
  in.host.prefer_src.erase(Family::kV6);
  const auto nft = nft_of(desired_state(in));
  EXPECT_NE(nft.find("meta mark != 0x1057 ip daddr @remote4 fib saddr type local snat ip to "
                     "10.1.3.1"),
            std::string::npos)
      << nft;
  EXPECT_NE(nft.find("meta mark != 0x1057 ip6 daddr @remote6 ip6 saddr != @local6 counter name "
                     "\"host-refused\" reject with icmpv6 type admin-prohibited"),
            std::string::npos)
      << nft;
  EXPECT_EQ(nft.find("ip daddr @remote4 ip saddr != @local4 counter"), std::string::npos);
}

}  // namespace
}  // namespace cw::routeagent
