#include "routeagent/node/whole_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/prefix_set.h"
#include "netlink/owner.h"
#include "routeagent/node/vtep.h"

namespace cw::routeagent {

namespace {

using netlink::Route;
using netlink::RouteType;

// Kinds of devices that lead to other machines. Pods are behind others: veth, bridges, taps.
constexpr std::array<std::string_view, 11> kOutward = {
    "", "vlan", "bond", "vxlan", "geneve", "gre", "gretap", "ipip", "sit", "ip6tnl", "wireguard"};

bool outward(const netlink::Link& link) {
  if (link.name == "lo" || link.name == netlink::kVxlanLink || link.name == netlink::kTunnelLink ||
      link.name == netlink::kHopLink) {
    return false;
  }
  return std::find(kOutward.begin(), kOutward.end(), link.kind) != kOutward.end();
}

std::vector<IpAddress> underlays(const Seen& seen) {
  std::vector<IpAddress> all{seen.self.underlay};
  for (const auto& node : seen.others) all.push_back(node.underlay);
  return all;
}

}  // namespace

std::vector<std::string> carrier_links(std::span<const netlink::Link> links,
                                       const std::string& underlay_link) {
  std::vector<std::string> names;
  for (const auto& link : links) {
    if (link.up && (link.name == underlay_link || outward(link))) names.push_back(link.name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> strict_links(const std::vector<std::string>& carriers,
                                      const std::map<std::string, int>& values) {
  const auto value_of = [&](const std::string& name) {
    const auto at = values.find(name);
    return at == values.end() ? 0 : at->second;
  };
  std::vector<std::string> strict;
  // Linux takes the larger value of `all` and the device.
  for (const auto& name : carriers) {
    if (std::max(value_of("all"), value_of(name)) == 1) strict.push_back(name);
  }
  return strict;
}

std::optional<IpAddress> probe_source(const Seen& seen, Family family) {
  if (seen.self.whole) {
    if (!seen.overlay) return std::nullopt;
    return node_address(*seen.overlay, seen.self.underlay, family);
  }
  const auto at = seen.host.prefer_src.find(family);
  return at == seen.host.prefer_src.end() ? std::nullopt : std::optional(at->second);
}

std::map<IpAddress, std::vector<Prefix>> probe_sources(const Seen& seen) {
  std::map<IpAddress, std::vector<Prefix>> all;
  if (!seen.self.whole || !seen.overlay) return all;
  for (const auto& underlay : underlays(seen)) {
    for (const auto family : {Family::kV4, Family::kV6}) {
      all[underlay].push_back(Prefix::host(node_address(*seen.overlay, underlay, family)));
    }
  }
  return all;
}

std::vector<Route> whole_cluster_routes(const Seen& seen) {
  std::vector<Route> routes;
  if (!seen.self.whole) return routes;
  Route route;
  route.table = netlink::kFromTunnelTable;
  route.type = RouteType::kUnreachable;
  const PrefixSet ranges(seen.self.pod_cidrs);
  for (const auto& address : seen.node_addresses) {
    route.dst = Prefix::host(address);
    if (ranges.covering(route.dst)) routes.push_back(route);
  }
  route.type = RouteType::kUnicast;
  route.link = netlink::kVxlanLink;
  for (const auto& [underlay, sources] : probe_sources(seen)) {
    if (underlay == seen.self.underlay) continue;
    route.gateway = vtep_address(*seen.overlay, underlay);
    for (const auto& source : sources) {
      route.dst = source;
      routes.push_back(route);
    }
  }
  return routes;
}

std::vector<std::string> whole_cluster_problems(const Seen& seen) {
  std::vector<std::string> all;
  if (!seen.self.whole || seen.remotes.empty() || seen.host.strict.empty()) return all;
  const auto& strict = seen.host.strict;
  all.push_back(fmt::format(
      "pods of Node {} get no packets of remote clusters: the pod network brings them by {}, where "
      "the kernel's reverse path check is strict (net.ipv4.conf.all.rp_filter or the device's own "
      "is "
      "1). Set net/ipv4/conf/{}/rp_filter to 2, and so for each of these devices",
      seen.self.name, fmt::join(strict, ", "), strict.front()));
  return all;
}

}  // namespace cw::routeagent
