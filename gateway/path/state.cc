#include "gateway/path/state.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/prefix_set.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

std::string own_prefixes_rule(std::string_view match, Family family,
                              const std::vector<Prefix>& own) {
  std::vector<std::string> elements;
  const PrefixSet set(own);  // outermost only: an nft set's intervals must not overlap
  for (const auto& prefix : set.outermost()) {
    if (prefix.family() == family) elements.push_back(prefix.to_string());
  }
  if (elements.empty()) return {};
  return fmt::format("\t\t{} {{ {} }} accept\n", match, fmt::join(elements, ", "));
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

// Below the CNI's own NAT chains: a flow is translated once, by who comes first.
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

netlink::Route through(const std::string& link, std::uint32_t table, const Prefix& dst) {
  netlink::Route route;
  route.table = table;
  route.dst = dst;
  route.link = link;
  return route;
}

}  // namespace

std::string nft_table(const PathInput& input) {
  const auto name = netlink::kGatewayNftTable;
  const auto& control = input.control_address;
  return fmt::format(
      "table inet {0} {{}}\n"
      "delete table inet {0}\n"
      "table inet {0} {{\n"
      "\tchain from-tunnel {{\n"
      "\t\tip6 daddr {2} udp dport {3} accept\n"
      "\t\tip6 daddr {2} udp sport {3} accept\n"
      "\t\tip6 daddr {2} tcp dport {4} accept\n"
      "\t\tip6 daddr {2} tcp sport {4} accept\n"
      "\t\tip6 daddr {2} meta l4proto {7} accept\n"
      "\t\tip6 daddr {2} udp dport {8} accept\n"
      "\t\tip daddr {9} udp dport {8} accept\n"
      "{5}{6}"
      "\t\tdrop\n"
      "\t}}\n"
      "\tchain input {{\n"
      "\t\ttype filter hook input priority filter - 10; policy accept;\n"
      "\t\tiifname \"{1}\" jump from-tunnel\n"
      "\t}}\n"
      "\tchain forward {{\n"
      "\t\ttype filter hook forward priority filter - 10; policy accept;\n"
      "\t\tiifname \"{1}\" oifname \"{1}\" drop\n"
      "\t}}\n"
      "{10}"
      "}}\n",
      name, input.link, control.to_string(), netlink::kTunnelProbePort, netlink::kFeedPort,
      own_prefixes_rule("ip daddr", Family::kV4, input.own),
      own_prefixes_rule("ip6 daddr", Family::kV6, input.own),
      IPPROTO_ICMPV6,  // as a number: its name needs /etc/protocols, which small images lack
      netlink::kThroughPort, input.probe_address.to_string(), through_chains(input));
}

PathState desired_path(const PathInput& input) {
  PathState state;
  state.link = input.link;
  for (const auto& own : {input.control_address, input.probe_address}) {
    state.addresses.insert({input.link, own, own.bits()});
  }
  for (const auto& control : input.remote_controls) {
    const auto dst = Prefix::host(control);
    state.routes[{kMainTable, dst}] = through(input.link, kMainTable, dst);
    state.routes[{netlink::kTransitTable, dst}] = through(input.link, netlink::kTransitTable, dst);
  }
  for (const auto& dst : input.remotes) {
    state.routes[{netlink::kTransitTable, dst}] = through(input.link, netlink::kTransitTable, dst);
  }
  for (const auto family : {Family::kV4, Family::kV6}) {
    state.rules.insert({family, netlink::kTransitPriority, netlink::kTransitTable,
                        std::string(netlink::kVxlanLink)});
  }
  // Forwarding is turned on by the node's route agent, which limits it to what is ours.
  // Loose: return traffic of a prefix may be routed elsewhere; WireGuard checks sources itself.
  state.sysctls.emplace(fmt::format("ipv4/conf/{}/rp_filter", input.link), "2");
  state.nft = nft_table(input);
  return state;
}

}  // namespace cw::gateway
