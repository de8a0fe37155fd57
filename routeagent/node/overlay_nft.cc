#include "routeagent/node/overlay_nft.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "base/prefix_set.h"
#include "netlink/owner.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

namespace {

using netlink::kHopLink;
using netlink::kTunnelLink;
using netlink::kVxlanLink;
using netlink::kVxlanPort;
using netlink::NftChain;
using netlink::NftSet;

// The inner frame's source MAC in a VXLAN packet: after the UDP header (8 bytes), the VXLAN header
// (8) and the destination MAC (6). nft 1.0.6 has no name for it.
constexpr std::string_view kInnerMac = "@th,176,48";

const char* ip_of(const IpAddress& address) { return address.is_v4() ? "ip" : "ip6"; }

// Elements of the set must not overlap, so it has each sender's outermost prefixes only.
NftSet sources(Family family, const std::vector<OverlaySender>& senders) {
  std::set<std::string> elements;
  for (const auto& sender : senders) {
    const PrefixSet own(sender.sources);
    for (const auto& prefix : own.outermost()) {
      if (prefix.family() != family) continue;
      elements.insert(fmt::format("{} . {}", netlink::to_string(sender.mac), prefix.to_string()));
    }
  }
  const bool v4 = family == Family::kV4;
  return {v4 ? "sources4" : "sources6",
          v4 ? "type ether_addr . ipv4_addr" : "type ether_addr . ipv6_addr", true,
          fmt::format("{}", fmt::join(elements, ", "))};
}

NftChain vxlan(const OverlayGuard& guard) {
  NftChain chain{"vxlan", ""};
  // If the underlay address is on lo, several devices may be the underlay. Then the device must be
  // one by which this host would send to the sender.
  std::string device;
  if (guard.arrival_link.empty()) {
    chain.rules.emplace_back("fib saddr . iif oif missing counter drop");
  } else {
    device = fmt::format("iifname \"{}\" ", guard.arrival_link);
  }
  chain.rules.push_back(fmt::format("{0}{1} daddr {2} {1} saddr . {3} @vteps accept", device,
                                    ip_of(guard.outer), guard.outer.to_string(), kInnerMac));
  chain.rules.emplace_back("counter drop");
  return chain;
}

// -450 is before defragmentation (-400) and connection tracking (-200): packets of unknown senders
// take no memory of this host.
NftChain overlay_source(const OverlayGuard& guard) {
  NftChain chain{
      "overlay-source",
      "filter hook prerouting priority -450",
      {fmt::format("iifname != \"{}\" accept", kVxlanLink),
       "ether saddr . ip saddr @sources4 accept", "ether saddr . ip6 saddr @sources6 accept"}};
  const auto from_gateways = [&](std::string_view set) {
    chain.rules.push_back(fmt::format("ether saddr @gateways ip saddr @{}4 accept", set));
    chain.rules.push_back(fmt::format("ether saddr @gateways ip6 saddr @{}6 accept", set));
  };
  from_gateways("remote");
  // A gateway without tunnels passes other nodes' packets on to another gateway.
  if (guard.gateway) from_gateways("local");
  chain.rules.emplace_back("counter drop");
  return chain;
}

// If cw-nd is gone (its driver has ended), packets to its addresses must not take the default
// route. And no VXLAN packet leaves unencrypted, whatever the FDB of cw-vx says.
NftChain overlay_output() {
  return {"overlay-output",
          "filter hook output priority filter - 10",
          {fmt::format("ip6 daddr {} oifname != \"{}\" counter drop", hop_network().to_string(),
                       kHopLink),
           fmt::format("udp dport {} ip daddr @nodes4 counter drop", kVxlanPort),
           fmt::format("udp dport {} ip6 daddr @nodes6 counter drop", kVxlanPort)}};
}

NftChain overlay_forward(const OverlayGuard& guard) {
  NftChain chain{"overlay-forward", "filter hook forward priority filter - 10"};
  auto& rules = chain.rules;
  const auto ours = fmt::format("{{ \"{}\", \"{}\" }}", kVxlanLink, kTunnelLink);
  if (guard.encrypted) {
    // Packets on cw-nd begin and end on the nodes, so none is forwarded into it or out of it.
    rules.push_back(fmt::format("iifname \"{}\" counter drop", kHopLink));
    rules.push_back(fmt::format("oifname \"{}\" counter drop", kHopLink));
  }
  // Pods must not send VXLAN packets to nodes.
  rules.push_back(fmt::format("udp dport {} ip daddr @nodes4 counter drop", kVxlanPort));
  rules.push_back(fmt::format("udp dport {} ip6 daddr @nodes6 counter drop", kVxlanPort));
  for (const auto* other : {"ip daddr != @own4", "ip6 daddr != @own6"}) {
    rules.push_back(
        fmt::format("iifname \"{}\" oifname != {} {} counter drop", kVxlanLink, ours, other));
  }
  rules.push_back(fmt::format("oifname != {} accept", ours));
  rules.push_back(fmt::format("iifname {} accept", ours));
  // Into the overlay and the tunnel: only pods of this node. Another host could use this one as its
  // router.
  if (!guard.outside_link.empty()) {
    rules.push_back(fmt::format("iifname \"{}\" counter drop", guard.outside_link));
  }
  rules.emplace_back("ip saddr != @own4 counter drop");
  rules.emplace_back("ip6 saddr != @own6 counter drop");
  return chain;
}

}  // namespace

void add_overlay_sets(netlink::NftTable& table, const OverlayGuard& guard) {
  std::set<std::string> vteps;
  std::set<std::string> gateways;
  for (const auto& sender : guard.senders) {
    std::string mac = "0x";
    for (const auto byte : sender.mac) mac += fmt::format("{:02x}", byte);
    vteps.insert(fmt::format("{} . {}", sender.outer.to_string(), mac));
    if (sender.gateway) gateways.insert(netlink::to_string(sender.mac));
  }
  table.sets.push_back({"vteps", fmt::format("typeof {} saddr . {}", ip_of(guard.outer), kInnerMac),
                        false, fmt::format("{}", fmt::join(vteps, ", "))});
  table.sets.push_back(
      {"gateways", "type ether_addr", false, fmt::format("{}", fmt::join(gateways, ", "))});
  table.sets.push_back(sources(Family::kV4, guard.senders));
  table.sets.push_back(sources(Family::kV6, guard.senders));
}

void add_overlay_chains(netlink::NftTable& table, const OverlayGuard& guard) {
  table.chains.push_back(vxlan(guard));
  table.chains.push_back(overlay_source(guard));
  table.chains.push_back(overlay_forward(guard));
  if (guard.encrypted) table.chains.push_back(overlay_output());
}

}  // namespace cw::routeagent
