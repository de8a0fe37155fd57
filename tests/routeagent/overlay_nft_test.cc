// The nft rules of docs/protocol/datapath.md, "Who may send on cw-vx".
#include "routeagent/node/overlay_nft.h"

#include <gtest/gtest.h>

#include "routeagent/node/desired.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/node_kernel.h"

namespace cw::routeagent {
namespace {

constexpr netlink::Mac kMac1{2, 0, 0, 0, 0, 1};
constexpr netlink::Mac kMac2{2, 0, 0, 0, 0, 2};

OverlayGuard guard() {
  OverlayGuard guard;
  guard.outer = ip("10.0.0.3");
  guard.arrival_link = guard.outside_link = "eth0";
  guard.senders = {{ip("10.0.0.1"), kMac1, {Prefix::host(ip("fe80::1"))}, true},
                   {ip("10.0.0.2"), kMac2, {net("10.1.2.0/24"), net("10.1.2.7/32")}, false}};
  return guard;
}

std::string sets_of(const OverlayGuard& guard) {
  netlink::NftTable table{"any"};
  add_overlay_sets(table, guard);
  return nft_text(table);
}
std::string chains_of(const OverlayGuard& guard) {
  netlink::NftTable table{"any"};
  add_overlay_chains(table, guard);
  return nft_text(table);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(OverlayNft, ANodesPacketsCarryItsMacAndArriveFromTheUnderlay) {
  const auto sets = sets_of(guard());
  EXPECT_TRUE(has(sets,
                  "set vteps {\n\t\ttypeof ip saddr . @th,176,48\n\t\telements = { "
                  "10.0.0.1 . 0x020000000001, 10.0.0.2 . 0x020000000002 }"))
      << sets;
  const auto chains = chains_of(guard());
  EXPECT_TRUE(has(chains,
                  "iifname \"eth0\" ip daddr 10.0.0.3 ip saddr . @th,176,48 @vteps accept\n"
                  "\t\tcounter drop\n"))
      << chains;
}

TEST(OverlayNft, IPv6UnderlaysAreGuardedAlike) {
  auto v6 = guard();
  v6.outer = ip("fd00::3");
  v6.senders = {{ip("fd00::1"), kMac1, {}, true}};
  EXPECT_TRUE(has(sets_of(v6), "typeof ip6 saddr . @th,176,48"));
  EXPECT_TRUE(has(chains_of(v6), "ip6 daddr fd00::3 ip6 saddr . @th,176,48 @vteps accept"));
}

TEST(OverlayNft, WithoutOneUnderlayDeviceTheRouteBackDecides) {
  auto anywhere = guard();
  anywhere.arrival_link.clear();
  const auto chains = chains_of(anywhere);
  EXPECT_TRUE(has(chains, "fib saddr . iif oif missing counter drop")) << chains;
  EXPECT_FALSE(has(chains, "iifname \"\"")) << chains;
}

TEST(OverlayNft, ASendersPrefixesDoNotOverlap) {
  const auto sets = sets_of(guard());
  EXPECT_TRUE(has(sets, "elements = { 02:00:00:00:00:02 . 10.1.2.0/24 }")) << sets;
}

TEST(OverlayNft, OnlyGatewaysCarryRemoteSourcesAndOnlyToGatewaysLocalOnes) {
  EXPECT_TRUE(has(sets_of(guard()),
                  "set gateways {\n\t\ttype ether_addr\n\t\telements = { "
                  "02:00:00:00:00:01 }"));
  EXPECT_TRUE(has(chains_of(guard()), "ether saddr @gateways ip saddr @remote4 accept"));
  EXPECT_FALSE(has(chains_of(guard()), "@local4"));
  auto gateway = guard();
  gateway.gateway = true;
  EXPECT_TRUE(has(chains_of(gateway), "ether saddr @gateways ip saddr @local4 accept"));
}

TEST(OverlayNft, WherePodsArriveByTheUnderlaysDeviceItIsNotClosedForThem) {
  EXPECT_TRUE(has(chains_of(guard()), "\t\tiifname \"eth0\" counter drop\n"));
  auto shared = guard();
  shared.outside_link.clear();
  EXPECT_FALSE(has(chains_of(shared), "\t\tiifname \"eth0\" counter drop\n"));
}

// The text of the table's sets as desired_state() fills them.
std::string set_of(const NodeState& state, const std::string& name) {
  const auto text = nft_of(state);
  const auto from = text.find("set " + name + " {");
  return text.substr(from, text.find("\t}\n", from) - from);
}

std::string mac(std::string_view underlay) {
  return netlink::to_string(vtep_mac(kOverlayKey, ip(underlay)));
}
std::string link_local(std::string_view underlay) {
  return vtep_address(kOverlayKey, ip(underlay)).to_string();
}

TEST(OverlaySenders, AWorkerHearsGatewaysOnlyAndNoPodOfTheirs) {
  const auto state = desired_state(inputs());
  EXPECT_FALSE(has(set_of(state, "vteps"), "10.0.0.4"));
  EXPECT_TRUE(has(set_of(state, "vteps"), "10.0.0.1 . ")) << nft_of(state);
  EXPECT_TRUE(has(set_of(state, "vteps"), "10.0.0.2 . ")) << nft_of(state);
  EXPECT_FALSE(has(set_of(state, "sources4"), "10.1."));
  EXPECT_TRUE(has(set_of(state, "sources6"), mac("10.0.0.1") + " . " + link_local("10.0.0.1")));
  EXPECT_FALSE(has(set_of(state, "sources6"), "fd01:"));
}

TEST(OverlaySenders, AGatewayHearsEveryNodeWithThatNodesPods) {
  const auto state = desired_state(inputs(true));
  for (const auto* n : {"1", "2", "4"}) {
    const auto underlay = std::string("10.0.0.") + n;
    EXPECT_TRUE(has(set_of(state, "vteps"), underlay + " . "));
    EXPECT_TRUE(has(set_of(state, "sources4"), mac(underlay) + " . 10.1." + n + ".0/24"));
    EXPECT_TRUE(has(set_of(state, "sources6"), mac(underlay) + " . fd01:" + n + "::/64"));
    EXPECT_TRUE(has(set_of(state, "sources6"), mac(underlay) + " . " + link_local(underlay)));
  }
  EXPECT_TRUE(has(set_of(state, "gateways"), mac("10.0.0.2")));
  EXPECT_FALSE(has(set_of(state, "gateways"), mac("10.0.0.4")));
}

TEST(OverlaySenders, AnswersToProbesThroughAGatewayAreItsOwn) {
  auto in = inputs();
  std::array<std::uint8_t, 32> bytes{1};
  in.gateways.front().key = tunnel::Key(bytes);
  bytes[0] = 2;
  in.remotes.front().gateways.insert(tunnel::Key(bytes));
  in.host.prefer_src = {{Family::kV4, ip("10.1.3.1")}, {Family::kV6, ip("fd01:3::1")}};
  const auto state = desired_state(in);
  const auto targets = forwarding_targets(in);
  ASSERT_EQ(targets.size(), 2U);
  for (const auto& target : targets) {
    EXPECT_TRUE(has(set_of(state, target.family == Family::kV4 ? "sources4" : "sources6"),
                    mac("10.0.0.1") + " . " + target.address.to_string()))
        << nft_of(state);
  }
}

TEST(OverlaySenders, WithoutTheSecretNoSenderIsAccepted) {
  auto in = inputs(true);
  in.overlay.reset();
  const auto state = desired_state(in);
  EXPECT_FALSE(has(set_of(state, "vteps"), "elements"));
  EXPECT_FALSE(has(set_of(state, "sources4"), "elements"));
}

}  // namespace
}  // namespace cw::routeagent
