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
// If the ranges of the whole cluster have the host's own address in them, it is refused, too: no
// answer would come back to it.
void add_host_traffic(NftTable& table, const std::map<Family, IpAddress>& host, bool whole) {
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
      const auto sources = whole ? std::string() : fmt::format("{} saddr != @local{} ", ip, n);
      refused.rules.push_back(
          fmt::format("meta mark != {:#x} {} daddr @remote{} {}"
                      "counter name \"host-refused\" reject with {} type admin-prohibited",
                      kTunnelMark, ip, n, sources, v4 ? "icmp" : "icmpv6"));
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

// In the cluster as a whole the pod network brings packets of remote pods, by its own devices.
bool brings_remote(const NftInputs& inputs) { return inputs.whole && !inputs.carriers.empty(); }

std::string carriers(const NftInputs& inputs) {
  return fmt::format("{{ \"{}\" }}", fmt::join(inputs.carriers, "\", \""));
}

// Such packets pass the guard of closed prefixes (closed/guard.h) by the mark: only those to pods,
// and none to a node's own address. Of the host's other addresses they reach no more than packets
// from cw-vx do.
void add_arrivals(NftTable& table, const NftInputs& inputs) {
  if (!brings_remote(inputs)) return;
  NftChain arrivals{"arrivals", "filter hook prerouting priority raw - 15"};
  for (const auto* ip : {"ip", "ip6"}) {
    const int n = ip[2] == '6' ? 6 : 4;
    arrivals.rules.push_back(fmt::format(
        "iifname {} {} saddr @remote{} {} daddr @local{} {} daddr != @nodes{} meta mark set {:#x}",
        carriers(inputs), ip, n, ip, n, ip, n, kTunnelMark));
  }
  table.chains.push_back(std::move(arrivals));
  table.chains.push_back({"from-pod-network",
                          "",
                          {"ct state established,related accept", "icmp type echo-request accept",
                           "icmpv6 type echo-request accept", "counter drop"}});
}

// What reaches this host's own stack. VXLAN packets: those of the cluster's nodes. From cw-vx:
// neighbour discovery, probes, pings to the own pod prefixes, and answers to connections of the
// host from an address inside them. add_host_traffic() may have translated the source, so these
// rules match the connection and not only the packet.
NftChain guard(const NftInputs& inputs) {
  const auto& overlay = inputs.overlay;
  NftChain chain{"guard", "filter hook input priority filter - 10"};
  if (brings_remote(inputs)) {
    for (const auto* ip : {"ip", "ip6"}) {
      const int n = ip[2] == '6' ? 6 : 4;
      chain.rules.push_back(
          fmt::format("iifname {} {} saddr @remote{} {} daddr != @nodes{} jump from-pod-network",
                      carriers(inputs), ip, n, ip, n));
    }
  }
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
// Where addresses tell nothing, the device does by which the packet will leave.
NftChain transit(const NftInputs& inputs) {
  const auto out = fmt::format("iifname \"{}\"", kVxlanLink);
  const auto in = fmt::format("iifname \"{}\"", kTunnelLink);
  NftChain chain{"transit",
                 "filter hook prerouting priority raw",
                 {out + " ip daddr @remote4 notrack", out + " ip6 daddr @remote6 notrack"}};
  auto& rules = chain.rules;
  if (!inputs.whole) {
    rules.push_back(in + " ip daddr @local4 ip daddr != @own4 notrack");
    rules.push_back(in + " ip6 daddr @local6 ip6 daddr != @own6 notrack");
  } else if (!inputs.carriers.empty()) {
    const auto devices = carriers(inputs);
    rules.push_back(fmt::format("{} ip daddr @local4 fib daddr oifname {} notrack", in, devices));
    rules.push_back(fmt::format("{} ip6 daddr @local6 fib daddr oifname {} notrack", in, devices));
  }
  return chain;
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
  add_host_traffic(table, inputs.host, inputs.whole);
  table.chains.push_back(mss(inputs));
  add_overlay_chains(table, inputs.overlay);
  add_arrivals(table, inputs);
  table.chains.push_back(guard(inputs));
  table.chains.push_back(transit(inputs));
  return table;
}

}  // namespace cw::routeagent
