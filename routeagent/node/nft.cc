#include "routeagent/node/nft.h"

#include <fmt/format.h>

#include "netlink/owner.h"

namespace cw::routeagent {

namespace {

using netlink::kTunnelLink;
using netlink::kTunnelMark;
using netlink::kVxlanLink;
using netlink::NftChain;
using netlink::NftTable;

// Linux translates a connection once, so this chain stands before every masquerade of another
// program. A translation to the same address counts as one.
NftChain snat_exemption() {
  const auto probes =
      fmt::format("oifname \"{}\" udp dport {}", kVxlanLink, netlink::kForwardingPort);
  return {"snat-exemption",
          "nat hook postrouting priority srcnat - 10",
          {"ip saddr @local4 ip daddr @remote4 snat ip to ip saddr",
           "ip saddr @remote4 ip daddr @local4 snat ip to ip saddr",
           "ip6 saddr @local6 ip6 daddr @remote6 snat ip6 to ip6 saddr",
           "ip6 saddr @remote6 ip6 daddr @local6 snat ip6 to ip6 saddr",
           fmt::format("{} ip saddr @local4 ip daddr {} snat ip to ip saddr", probes,
                       netlink::kThroughRange4),
           fmt::format("{} ip6 saddr @local6 snat ip6 to ip6 saddr", probes)}};
}

// Packets of the host's own processes to remote pods. Their source may be one that no remote
// cluster accepts: after DNAT (a ClusterIP), or if the process chose it. Such a packet gets the
// host's address inside the pod prefix. On a host without one it is refused at once. The mark
// exempts the tunnel's own packets.
void add_host_traffic(NftTable& table, const std::map<Family, IpAddress>& host) {
  NftChain translated{"host-source", "nat hook postrouting priority srcnat - 9"};
  NftChain refused{"host-refused", "filter hook output priority filter"};
  for (const auto family : {Family::kV4, Family::kV6}) {
    const bool v4 = family == Family::kV4;
    const auto* ip = v4 ? "ip" : "ip6";
    const int n = v4 ? 4 : 6;
    if (const auto source = host.find(family); source != host.end()) {
      translated.rules.push_back(
          fmt::format("meta mark != {:#x} {} daddr @remote{} fib saddr type local snat {} to {}",
                      kTunnelMark, ip, n, ip, source->second.to_string()));
    } else {
      refused.rules.push_back(
          fmt::format("meta mark != {:#x} {} daddr @remote{} {} saddr != @local{} "
                      "counter name \"host-refused\" reject with {} type admin-prohibited",
                      kTunnelMark, ip, n, ip, n, v4 ? "icmp" : "icmpv6"));
    }
  }
  if (!translated.rules.empty()) table.chains.push_back(std::move(translated));
  if (refused.rules.empty()) return;
  table.counters.emplace_back("host-refused");
  table.chains.push_back(std::move(refused));
}

// SYN and SYN-ACK, both directions. The option is the MTU without the IP and TCP headers. The
// kernel lowers it and never raises it.
NftChain mss(const NftInputs& inputs) {
  NftChain chain{"mss", "filter hook forward priority mangle"};
  const auto add = [&](Family family, const std::string& where, std::uint32_t mtu) {
    const bool v6 = family == Family::kV6;
    for (const auto* side : {"saddr", "daddr"}) {
      chain.rules.push_back(
          fmt::format("{} {} {} tcp flags & (syn | rst) == syn tcp option maxseg size set {}",
                      v6 ? "ip6" : "ip", side, where, mtu - (v6 ? 60U : 40U)));
    }
  };
  add(Family::kV4, "@remote4", inputs.mtu);
  add(Family::kV6, "@remote6", inputs.mtu);
  for (const auto& [prefix, mtu] : inputs.narrow) add(prefix.family(), prefix.to_string(), mtu);
  return chain;
}

// What reaches this host's own stack. VXLAN packets: those of the cluster's nodes. From cw-vx:
// neighbour discovery, probes, pings to the own pod prefixes, and answers to connections of the
// host from an address inside them. add_host_traffic() may have translated the source, so these
// rules match the connection and not only the packet.
NftChain guard(const OverlayGuard& overlay) {
  NftChain chain{"guard", "filter hook input priority filter - 10"};
  chain.rules.push_back(fmt::format("udp dport {} jump vxlan", netlink::kVxlanPort));
  if (overlay.encrypted) {
    chain.rules.push_back(fmt::format("iifname \"{}\" counter drop", netlink::kHopLink));
  }
  chain.rules.insert(chain.rules.end(),
                     {fmt::format("iifname != \"{}\" accept", kVxlanLink),
                      "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
                      fmt::format("ip6 saddr fe80::/64 udp dport {{ {}, {} }} accept",
                                  netlink::kNodeAskPort, netlink::kNodeProbePort),
                      "ip daddr @own4 icmp type echo-request accept",
                      "ip6 daddr @own6 icmpv6 type echo-request accept",
                      "ct reply ip daddr @own4 ct state established,related accept",
                      "ct reply ip6 daddr @own6 ct state established,related accept", "drop"});
  return chain;
}

// A gateway may see only one direction of a connection in transit. If it were tracked, its packets
// would be "invalid" to rules of other programs. Connections of this node's own pods are tracked.
NftChain transit() {
  const auto out = fmt::format("iifname \"{}\"", kVxlanLink);
  const auto in = fmt::format("iifname \"{}\"", kTunnelLink);
  return {"transit",
          "filter hook prerouting priority raw",
          {out + " ip daddr @remote4 notrack", out + " ip6 daddr @remote6 notrack",
           in + " ip daddr @local4 ip daddr != @own4 notrack",
           in + " ip6 daddr @local6 ip6 daddr != @own6 notrack"}};
}

}  // namespace

NftTable node_table(const NftInputs& inputs) {
  NftTable table{std::string(netlink::kNodeNftTable)};
  add_prefix_sets(table, "local", inputs.local);
  add_prefix_sets(table, "own", inputs.own);
  add_prefix_sets(table, "remote", inputs.remote);
  add_address_sets(table, "nodes", inputs.nodes);
  add_overlay_sets(table, inputs.overlay);
  table.chains.push_back(snat_exemption());
  add_host_traffic(table, inputs.host);
  table.chains.push_back(mss(inputs));
  add_overlay_chains(table, inputs.overlay);
  table.chains.push_back(guard(inputs.overlay));
  table.chains.push_back(transit());
  return table;
}

}  // namespace cw::routeagent
