#include "routeagent/node/overlay_nft.h"

#include <fmt/format.h>

#include <algorithm>
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

// Where the inner frame's source MAC is in a VXLAN packet: behind the UDP header (8 bytes), the
// VXLAN header (8) and the destination MAC (6). nft 1.0.6 has no name for it.
constexpr std::string_view kInnerMac = "@th,176,48";

const char* ip_of(const IpAddress& address) { return address.is_v4() ? "ip" : "ip6"; }

std::string set_text(std::string_view name, std::string_view type, std::string_view flags,
                     const std::set<std::string>& elements) {
  return fmt::format(
      "\tset {} {{\n\t\t{}\n{}{}\t}}\n", name, type, flags,
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
}

// The set may not hold two elements that overlap: a sender's outermost prefixes only.
std::string sources(Family family, const std::vector<OverlaySender>& senders) {
  std::set<std::string> elements;
  for (const auto& sender : senders) {
    const PrefixSet own(sender.sources);
    for (const auto& prefix : own.outermost()) {
      if (prefix.family() != family) continue;
      elements.insert(fmt::format("{} . {}", netlink::to_string(sender.mac), prefix.to_string()));
    }
  }
  const bool v4 = family == Family::kV4;
  return set_text(v4 ? "sources4" : "sources6",
                  v4 ? "type ether_addr . ipv4_addr" : "type ether_addr . ipv6_addr",
                  "\t\tflags interval\n", elements);
}

std::string vxlan_chain(const OverlayGuard& guard) {
  // The underlay address may be on lo, with several devices around it: then the device must be one
  // by which this host would send to the sender.
  const auto device = guard.arrival_link.empty()
                          ? "\t\tfib saddr . iif oif missing counter drop\n\t\t"
                          : fmt::format("\t\tiifname \"{}\" ", guard.arrival_link);
  return fmt::format(
      "\tchain vxlan {{\n"
      "{0}{1} daddr {2} {1} saddr . {3} @vteps accept\n"
      "\t\tcounter drop\n"
      "\t}}\n",
      device, ip_of(guard.outer), guard.outer.to_string(), kInnerMac);
}

// Before defragmentation and connection tracking: an unknown sender costs this host no memory.
std::string source_chain(const OverlayGuard& guard) {
  const auto from_gateways = [](std::string_view set) {
    return fmt::format(
        "\t\tether saddr @gateways ip saddr @{0}4 accept\n"
        "\t\tether saddr @gateways ip6 saddr @{0}6 accept\n",
        set);
  };
  return fmt::format(
      "\tchain overlay-source {{\n"
      "\t\ttype filter hook prerouting priority -450; policy accept;\n"
      "\t\tiifname != \"{}\" accept\n"
      "\t\tether saddr . ip saddr @sources4 accept\n"
      "\t\tether saddr . ip6 saddr @sources6 accept\n"
      "{}{}"
      "\t\tcounter drop\n"
      "\t}}\n",
      kVxlanLink, from_gateways("remote"),
      // A gateway that lost its tunnels passes other nodes' packets on to the next gateway.
      guard.gateway ? from_gateways("local") : "");
}

// Nothing is forwarded into cw-nd or out of it: its packets begin and end on the nodes.
std::string closed_hop() {
  return fmt::format(
      "\t\tiifname \"{0}\" counter drop\n"
      "\t\toifname \"{0}\" counter drop\n",
      kHopLink);
}

// Without cw-nd (its driver has ended) no packet to an address inside it takes the default route.
// And whatever cw-vx has in its FDB, no VXLAN packet leaves for a node without encryption.
std::string output_chain() {
  return fmt::format(
      "\tchain overlay-output {{\n"
      "\t\ttype filter hook output priority filter - 10; policy accept;\n"
      "\t\tip6 daddr {} oifname != \"{}\" counter drop\n"
      "\t\tudp dport {} ip daddr @nodes4 counter drop\n"
      "\t\tudp dport {} ip6 daddr @nodes6 counter drop\n"
      "\t}}\n",
      hop_network().to_string(), kHopLink, kVxlanPort, kVxlanPort);
}

// The first two rules stop pods' own VXLAN packets. The last ones let pods of this node into the
// overlay and the tunnel, and no other host that takes this one for a router.
std::string forward_chain(const OverlayGuard& guard) {
  const auto outside = guard.outside_link.empty()
                           ? std::string()
                           : fmt::format("\t\tiifname \"{}\" counter drop\n", guard.outside_link);
  return fmt::format(
      "\tchain overlay-forward {{\n"
      "\t\ttype filter hook forward priority filter - 10; policy accept;\n"
      "{4}"
      "\t\tudp dport {0} ip daddr @nodes4 counter drop\n"
      "\t\tudp dport {0} ip6 daddr @nodes6 counter drop\n"
      "\t\tiifname \"{1}\" oifname != {{ \"{1}\", \"{2}\" }} ip daddr != @own4 counter drop\n"
      "\t\tiifname \"{1}\" oifname != {{ \"{1}\", \"{2}\" }} ip6 daddr != @own6 counter drop\n"
      "\t\toifname != {{ \"{1}\", \"{2}\" }} accept\n"
      "\t\tiifname {{ \"{1}\", \"{2}\" }} accept\n"
      "{3}"
      "\t\tip saddr != @own4 counter drop\n"
      "\t\tip6 saddr != @own6 counter drop\n"
      "\t}}\n",
      kVxlanPort, kVxlanLink, kTunnelLink, outside, guard.encrypted ? closed_hop() : "");
}

}  // namespace

std::string overlay_sets(const OverlayGuard& guard) {
  std::set<std::string> vteps;
  std::set<std::string> gateways;
  for (const auto& sender : guard.senders) {
    std::string mac = "0x";
    for (const auto byte : sender.mac) mac += fmt::format("{:02x}", byte);
    vteps.insert(fmt::format("{} . {}", sender.outer.to_string(), mac));
    if (sender.gateway) gateways.insert(netlink::to_string(sender.mac));
  }
  return set_text("vteps", fmt::format("typeof {} saddr . {}", ip_of(guard.outer), kInnerMac), "",
                  vteps) +
         set_text("gateways", "type ether_addr", "", gateways) +
         sources(Family::kV4, guard.senders) + sources(Family::kV6, guard.senders);
}

std::string overlay_chains(const OverlayGuard& guard) {
  return vxlan_chain(guard) + source_chain(guard) + forward_chain(guard) +
         (guard.encrypted ? output_chain() : "");
}

}  // namespace cw::routeagent
