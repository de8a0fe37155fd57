#include "gateway/path/nft.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/prefix_set.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

constexpr const char* kErrors4 = "destination-unreachable, time-exceeded, parameter-problem";
constexpr const char* kErrors6 =
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem";

// One named set of one family. Sets of prefixes are interval sets.
template <typename List>
std::string set_text(std::string_view name, Family family, const List& values, bool prefixes) {
  std::vector<std::string> elements;
  for (const auto& value : values) {
    if (value.family() == family) elements.push_back(value.to_string());
  }
  return fmt::format(
      "\tset {}{} {{\n\t\ttype {}\n{}{}\t}}\n", name, family == Family::kV4 ? 4 : 6,
      family == Family::kV4 ? "ipv4_addr" : "ipv6_addr", prefixes ? "\t\tflags interval\n" : "",
      elements.empty() ? "" : fmt::format("\t\telements = {{ {} }}\n", fmt::join(elements, ", ")));
}

std::string sets(const PathInput& input) {
  // Outermost prefixes only: an nft set's intervals must not overlap.
  const auto local = PrefixSet(input.local).outermost();
  // Every IPv6 address of the tunnels. The IPv4 ones have a range of their own.
  std::set<IpAddress> inside = input.remote_controls;
  inside.insert(input.control_address);
  for (const auto& [from, to] : input.through) inside.insert(from);
  std::string text;
  for (const auto family : {Family::kV4, Family::kV6}) {
    text += set_text("local", family, local, true);
    text += set_text("gateways", family, input.remote_controls, false);
  }
  return text + set_text("inside", Family::kV6, inside, false);
}

// Packets of remote gateways, on the underlay. The mark takes them past the guard of closed
// prefixes, and the check of the reverse path, which uses the mark, ignores our routes.
std::string outer(const PathInput& input) {
  return fmt::format(
      "\tchain outer {{\n"
      "\t\ttype filter hook prerouting priority raw - 20; policy accept;\n"
      "\t\tiifname != {{ \"{0}\", \"{1}\" }} udp dport {2} fib daddr type local "
      "meta mark set {3:#x}\n"
      "\t}}\n",
      input.link, netlink::kVxlanLink, input.listen_port, netlink::kTunnelMark);
}

// Before DNAT: a NodePort, a ClusterIP or a node's address is no destination of a packet from the
// tunnel.
std::string arrivals(const PathInput& input) {
  return fmt::format(
      "\tchain arrivals {{\n"
      "\t\ttype filter hook prerouting priority raw; policy accept;\n"
      "\t\tiifname != \"{0}\" accept\n"
      "\t\tip6 daddr {2} tcp dport {3} tcp flags & (syn | ack) == syn jump feed-calls\n"
      "\t\tip daddr @local4 accept\n"
      "\t\tip6 daddr @local6 accept\n"
      "\t\tip daddr {1} accept\n"
      "\t\tip6 daddr {2} accept\n"
      "\t\tdrop\n"
      "\t}}\n",
      input.link, input.probe_address.to_string(), input.control_address.to_string(),
      netlink::kFeedPort);
}

// New connections to the feed: a chain with a limit for each remote gateway. Not a set that the
// packets fill: then the listing of the table would change, and each pass would make it again.
std::string feed_calls(const PathInput& input) {
  std::string chains;
  std::vector<std::string> by_source;
  for (const auto& source : input.remote_controls) {
    if (!source.is_v6()) continue;  // a control address is IPv6
    const auto name = fmt::format("feed-calls-{}", by_source.size());
    chains +=
        fmt::format("\tchain {} {{\n\t\tlimit rate over {}/second burst {} packets drop\n\t}}\n",
                    name, input.feed_connections, 4 * input.feed_connections);
    by_source.push_back(fmt::format("{} : jump {}", source.to_string(), name));
  }
  return chains + fmt::format("\tchain feed-calls {{\n{}\t}}\n",
                              by_source.empty() ? ""
                                                : fmt::format("\t\tip6 saddr vmap {{ {} }}\n",
                                                              fmt::join(by_source, ", ")));
}

// What the node's own stack takes from the tunnel. `own-stack` asks before DNAT, because a NodePort
// answers on the bridge's address too, which is inside a pod prefix. `input` asks again for what
// DNAT made local.
std::string guard(const PathInput& input) {
  return fmt::format(
      "\tchain from-tunnel {{\n"
      "\t\tct state established,related accept\n"
      "\t\ticmp type {{ echo-request, {5} }} accept\n"
      "\t\ticmpv6 type {{ echo-request, {6} }} accept\n"
      "\t\tip saddr @gateways4 ip daddr {1} udp dport {7} accept\n"
      "\t\tip6 saddr @gateways6 ip6 daddr {2} udp dport {{ {7}, {3} }} accept\n"
      "\t\tip6 saddr @gateways6 ip6 daddr {2} tcp dport {4} accept\n"
      "\t\tdrop\n"
      "\t}}\n"
      "\tchain own-stack {{\n"
      "\t\ttype filter hook prerouting priority mangle; policy accept;\n"
      "\t\tiifname \"{0}\" fib daddr type local jump from-tunnel\n"
      "\t}}\n"
      "\tchain input {{\n"
      "\t\ttype filter hook input priority filter - 10; policy accept;\n"
      "\t\tiifname \"{0}\" jump from-tunnel\n"
      "\t\tiifname \"lo\" accept\n"
      "\t\tip daddr {1} drop\n"
      "\t\tip6 daddr {2} drop\n"
      "\t}}\n",
      input.link, input.probe_address.to_string(), input.control_address.to_string(),
      netlink::kTunnelProbePort, netlink::kFeedPort, kErrors4, kErrors6, netlink::kThroughPort);
}

std::string forward(const PathInput& input) {
  return fmt::format(
      "\tchain forward {{\n"
      "\t\ttype filter hook forward priority filter - 10; policy accept;\n"
      "\t\tiifname \"{0}\" oifname \"{0}\" drop\n"
      "\t\tiifname \"{0}\" jump carries-inside\n"
      "\t\toifname \"{0}\" jump carries-inside\n"
      "\t}}\n"
      "\tchain carries-inside {{\n"
      "\t\tiifname \"{1}\" udp dport {2} ct status dnat accept\n"
      "\t\toifname \"{1}\" udp sport {2} ct status dnat accept\n"
      "\t\tiifname \"{0}\" ip saddr @gateways4 icmp type {{ {4} }} accept\n"
      "\t\tiifname \"{0}\" ip6 saddr @gateways6 icmpv6 type {{ {5} }} accept\n"
      "\t\tip saddr {3} drop\n"
      "\t\tip daddr {3} drop\n"
      "\t\tip6 saddr @inside6 drop\n"
      "\t\tip6 daddr @inside6 drop\n"
      "\t}}\n",
      input.link, netlink::kVxlanLink, netlink::kThroughPort, netlink::kThroughRange4, kErrors4,
      kErrors6);
}

std::string translation(Family family, const std::map<IpAddress, IpAddress>& through) {
  std::vector<std::string> elements;
  for (const auto& [from, to] : through) {
    if (from.family() != family) continue;
    elements.push_back(fmt::format("{} : {}", from.to_string(), to.to_string()));
  }
  if (elements.empty()) return {};
  const auto* ip = family == Family::kV4 ? "ip" : "ip6";
  return fmt::format("\t\tiifname \"{0}\" udp dport {1} dnat {2} to {2} daddr map {{ {3} }}\n",
                     netlink::kVxlanLink, netlink::kThroughPort, ip, fmt::join(elements, ", "));
}

// Nodes' probes through the gateway go on from its own address, which the remote gateway takes from
// this one only. No program has the ports, so the answers cannot be taken for probes. Both chains
// stand before the CNI's own NAT chains: the first one translates a flow.
std::string through_chains(const PathInput& input) {
  return fmt::format(
      "\tchain through-to {{\n"
      "\t\ttype nat hook prerouting priority dstnat - 20; policy accept;\n"
      "{0}{1}"
      "\t}}\n"
      "\tchain through-from {{\n"
      "\t\ttype nat hook postrouting priority srcnat - 20; policy accept;\n"
      "\t\toifname \"{2}\" udp dport {3} ct status dnat meta nfproto ipv4 "
      "snat ip to {4}:10000-65535\n"
      "\t\toifname \"{2}\" udp dport {3} ct status dnat meta nfproto ipv6 "
      "snat ip6 to [{5}]:10000-65535\n"
      "\t}}\n",
      translation(Family::kV4, input.through), translation(Family::kV6, input.through), input.link,
      netlink::kThroughPort, input.probe_address.to_string(), input.control_address.to_string());
}

}  // namespace

std::string nft_table(const PathInput& input) {
  // The first two lines make the replacement idempotent: delete fails on a table that is not there.
  return fmt::format("table inet {0} {{}}\ndelete table inet {0}\ntable inet {0} {{\n",
                     netlink::kGatewayNftTable) +
         sets(input) + feed_calls(input) + outer(input) + arrivals(input) + guard(input) +
         forward(input) + through_chains(input) + "}\n";
}

}  // namespace cw::gateway
