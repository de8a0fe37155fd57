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

netlink::Route through(const std::string& link, std::uint32_t table, const Prefix& dst) {
  netlink::Route route;
  route.table = table;
  route.dst = dst;
  route.link = link;
  return route;
}

}  // namespace

std::string nft_table(const std::string& link, const IpAddress& control,
                      const std::vector<Prefix>& own) {
  const auto name = netlink::kGatewayNftTable;
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
      "}}\n",
      name, link, control.to_string(), netlink::kTunnelProbePort, netlink::kFeedPort,
      own_prefixes_rule("ip daddr", Family::kV4, own),
      own_prefixes_rule("ip6 daddr", Family::kV6, own),
      IPPROTO_ICMPV6);  // as a number: its name needs /etc/protocols, which small images lack
}

PathState desired_path(const PathInput& input) {
  PathState state;
  state.link = input.link;
  state.address = {input.link, input.control_address, input.control_address.bits()};
  for (const auto& control : input.remote_controls) {
    const auto dst = Prefix::host(control);
    state.routes[{kMainTable, dst}] = through(input.link, kMainTable, dst);
  }
  for (const auto& dst : input.remotes) {
    state.routes[{netlink::kTransitTable, dst}] = through(input.link, netlink::kTransitTable, dst);
  }
  for (const auto family : {Family::kV4, Family::kV6}) {
    state.rules.insert({family, netlink::kTransitPriority, netlink::kTransitTable,
                        std::string(netlink::kVxlanLink)});
  }
  state.sysctls["ipv4/ip_forward"] = "1";
  // Forwarding makes a host ignore router advertisements: only where there is IPv6 to forward.
  if (std::any_of(input.remotes.begin(), input.remotes.end(),
                  [](const Prefix& prefix) { return !prefix.is_v4(); })) {
    state.sysctls["ipv6/conf/all/forwarding"] = "1";
  }
  // Loose: return traffic of a prefix may be routed elsewhere; WireGuard checks sources itself.
  state.sysctls[fmt::format("ipv4/conf/{}/rp_filter", input.link)] = "2";
  state.nft = nft_table(input.link, input.control_address, input.own);
  return state;
}

}  // namespace cw::gateway
