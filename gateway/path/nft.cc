#include "gateway/path/nft.h"

#include <fmt/format.h>

#include "netlink/owner.h"

namespace cw::gateway {
namespace {

using netlink::kFeedPort;
using netlink::kForwardingPort;
using netlink::kThroughRange4;
using netlink::kTunnelLink;
using netlink::kVxlanLink;
using netlink::NftChain;
using netlink::NftTable;

constexpr const char* kErrors4 = "destination-unreachable, time-exceeded, parameter-problem";
constexpr const char* kErrors6 =
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem";

const std::string kFromTunnel = fmt::format("iifname \"{}\" ", kTunnelLink);
const std::string kIntoTunnel = fmt::format("oifname \"{}\" ", kTunnelLink);

void add_sets(NftTable& table, const PathInput& input) {
  add_prefix_sets(table, "local", input.local);
  add_address_sets(table, "gateways", input.remote_controls);
  // All IPv6 addresses inside the tunnels. The IPv4 ones have a range of their own.
  std::set<IpAddress> inside = input.remote_controls;
  inside.insert(input.control_address);
  for (const auto& [from, to] : input.through) inside.insert(from);
  table.sets.push_back(netlink::address_set("inside", Family::kV6, inside));
}

// New connections to the feed: a chain with a limit for each remote gateway. In a set that packets
// fill, the listing of the table would change, and each pass would write it again.
void add_feed_calls(NftTable& table, const PathInput& input) {
  std::vector<std::string> by_source;
  for (const auto& source : input.remote_controls) {
    if (!source.is_v6()) continue;  // control addresses are IPv6
    const auto name = fmt::format("feed-calls-{}", by_source.size());
    table.chains.push_back({name,
                            "",
                            {fmt::format("limit rate over {}/second burst {} packets drop",
                                         input.feed_connections, 4 * input.feed_connections)}});
    by_source.push_back(fmt::format("{} : jump {}", source.to_string(), name));
  }
  NftChain calls{"feed-calls", ""};
  if (!by_source.empty()) {
    calls.rules.push_back(fmt::format("ip6 saddr vmap {{ {} }}", fmt::join(by_source, ", ")));
  }
  table.chains.push_back(std::move(calls));
}

// Packets from remote gateways on the underlay. The mark takes them past the guard of closed
// prefixes. The reverse-path check uses the mark too, so it ignores our routes.
NftChain outer(const PathInput& input) {
  return {"outer",
          "filter hook prerouting priority raw - 20",
          {fmt::format("iifname != {{ \"{}\", \"{}\" }} udp dport {} fib daddr type local "
                       "meta mark set {:#x}",
                       kTunnelLink, kVxlanLink, input.listen_port, netlink::kTunnelMark)}};
}

// Before DNAT, so that a packet from the tunnel reaches no NodePort, ClusterIP or node address.
NftChain arrivals(const PathInput& input) {
  return {"arrivals",
          "filter hook prerouting priority raw",
          {fmt::format("iifname != \"{}\" accept", kTunnelLink),
           fmt::format("ip6 daddr {} tcp dport {} tcp flags & (syn | ack) == syn jump feed-calls",
                       input.control_address.to_string(), kFeedPort),
           "ip daddr @local4 accept", "ip6 daddr @local6 accept",
           fmt::format("ip daddr {} accept", input.probe_address.to_string()),
           fmt::format("ip6 daddr {} accept", input.control_address.to_string()), "drop"}};
}

// Packets from the tunnel that the node's own stack accepts.
NftChain from_tunnel(const PathInput& input) {
  const auto control = input.control_address.to_string();
  return {"from-tunnel",
          "",
          {"ct state established,related accept",
           fmt::format("icmp type {{ echo-request, {} }} accept", kErrors4),
           fmt::format("icmpv6 type {{ echo-request, {} }} accept", kErrors6),
           fmt::format("ip saddr @gateways4 ip daddr {} udp dport {} accept",
                       input.probe_address.to_string(), kForwardingPort),
           fmt::format("ip6 saddr @gateways6 ip6 daddr {} udp dport {{ {}, {} }} accept", control,
                       kForwardingPort, netlink::kTunnelProbePort),
           fmt::format("ip6 saddr @gateways6 ip6 daddr {} tcp dport {} accept", control, kFeedPort),
           "drop"}};
}

// Before DNAT: a NodePort also answers on the bridge's address, which is inside a pod prefix.
NftChain own_stack() {
  return {"own-stack",
          "filter hook prerouting priority mangle",
          {kFromTunnel + "fib daddr type local jump from-tunnel"}};
}

// The same check again, for packets that DNAT made local.
NftChain input_chain(const PathInput& input) {
  return {"input",
          "filter hook input priority filter - 10",
          {kFromTunnel + "jump from-tunnel", "iifname \"lo\" accept",
           fmt::format("ip daddr {} drop", input.probe_address.to_string()),
           fmt::format("ip6 daddr {} drop", input.control_address.to_string())}};
}

NftChain forward() {
  return {"forward",
          "filter hook forward priority filter - 10",
          {kFromTunnel + kIntoTunnel + "drop", kFromTunnel + "jump carries-inside",
           kIntoTunnel + "jump carries-inside"}};
}

NftChain carries_inside() {
  return {"carries-inside",
          "",
          {fmt::format("iifname \"{}\" udp dport {} ct status dnat accept", kVxlanLink,
                       kForwardingPort),
           fmt::format("oifname \"{}\" udp sport {} ct status dnat accept", kVxlanLink,
                       kForwardingPort),
           fmt::format("{}ip saddr @gateways4 icmp type {{ {} }} accept", kFromTunnel, kErrors4),
           fmt::format("{}ip6 saddr @gateways6 icmpv6 type {{ {} }} accept", kFromTunnel, kErrors6),
           fmt::format("ip saddr {} drop", kThroughRange4),
           fmt::format("ip daddr {} drop", kThroughRange4), "ip6 saddr @inside6 drop",
           "ip6 daddr @inside6 drop"}};
}

// Nodes' probes through the gateway go on from the gateway's own address, which the remote gateway
// accepts from this gateway only. No program uses the source ports, so answers cannot be taken for
// probes. Both chains stand before the CNI's own NAT chains, because the first chain translates a
// flow.
NftChain through_to(const PathInput& input) {
  NftChain chain{"through-to", "nat hook prerouting priority dstnat - 20"};
  for (const auto family : {Family::kV4, Family::kV6}) {
    std::vector<std::string> elements;
    for (const auto& [from, to] : input.through) {
      if (from.family() != family) continue;
      elements.push_back(fmt::format("{} : {}", from.to_string(), to.to_string()));
    }
    if (elements.empty()) continue;
    chain.rules.push_back(fmt::format(
        "iifname \"{0}\" udp dport {1} dnat {2} to {2} daddr map {{ {3} }}", kVxlanLink,
        kForwardingPort, family == Family::kV4 ? "ip" : "ip6", fmt::join(elements, ", ")));
  }
  return chain;
}

NftChain through_from(const PathInput& input) {
  const auto probes = fmt::format("{}udp dport {} ct status dnat", kIntoTunnel, kForwardingPort);
  return {"through-from",
          "nat hook postrouting priority srcnat - 20",
          {fmt::format("{} meta nfproto ipv4 snat ip to {}:10000-65535", probes,
                       input.probe_address.to_string()),
           fmt::format("{} meta nfproto ipv6 snat ip6 to [{}]:10000-65535", probes,
                       input.control_address.to_string())}};
}

}  // namespace

NftTable path_table(const PathInput& input) {
  NftTable table{std::string(netlink::kGatewayNftTable)};
  add_sets(table, input);
  add_feed_calls(table, input);
  for (auto chain :
       {outer(input), arrivals(input), from_tunnel(input), own_stack(), input_chain(input),
        forward(), carries_inside(), through_to(input), through_from(input)}) {
    table.chains.push_back(std::move(chain));
  }
  return table;
}

}  // namespace cw::gateway
