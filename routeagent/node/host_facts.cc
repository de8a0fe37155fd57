// What the links, addresses and routes of this host say (HostFacts).
#include <algorithm>
#include <map>
#include <string_view>

#include "base/prefix_set.h"
#include "netlink/owner.h"
#include "routeagent/node/desired.h"
#include "routeagent/node/whole_cluster.h"

namespace cw::routeagent {

using netlink::Address;
using netlink::Connected;
using netlink::kHopLink;
using netlink::kTunnelLink;
using netlink::kVxlanLink;
using netlink::Link;

namespace {

using ByName = std::map<std::string_view, const Link*>;

void add_own_links(HostFacts& facts, const ByName& by_name) {
  if (const auto at = by_name.find(kTunnelLink); at != by_name.end()) {
    facts.tunnel_up = at->second->up;
    facts.tunnel_mtu = at->second->mtu;
    facts.tunnel_kind = at->second->kind;
  }
  if (const auto at = by_name.find(kVxlanLink); at != by_name.end()) {
    facts.vxlan_index = at->second->index;
  }
  if (const auto at = by_name.find(kHopLink); at != by_name.end()) {
    facts.hop_index = at->second->index;
  }
}

void add_carriers(HostFacts& facts, std::span<const Link> links, const ByName& by_name) {
  facts.carriers = carrier_links(links, facts.underlay_link);
  for (const auto& name : facts.carriers) {
    const auto mtu = by_name.at(name)->mtu;
    facts.carrier_mtu = facts.carrier_mtu == 0 ? mtu : std::min(facts.carrier_mtu, mtu);
  }
}

bool inside_any(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace

HostFacts host_facts(std::span<const Link> links, std::span<const Address> addresses,
                     const NodeView& self) {
  HostFacts facts;
  ByName by_name;
  for (const auto& link : links) by_name.emplace(link.name, &link);
  add_own_links(facts, by_name);
  std::string_view node_link;  // that has the node's address
  for (const auto& address : addresses) {
    const auto link = by_name.find(address.link);
    if (address.address != self.underlay || link == by_name.end()) continue;
    node_link = address.link;
    facts.underlay_mtu = link->second->mtu;
    const bool apart = link->first == "lo" || link->second->kind == "dummy";
    facts.underlay_link = apart ? "" : address.link;
  }
  for (const auto& address : addresses) {
    if (address.link == kTunnelLink) facts.tunnel_addresses.insert(address.address);
    if (address.link == kTunnelLink || address.link == kVxlanLink) continue;
    if (!inside_any(self.pod_cidrs, address.address)) continue;
    // An address beside the node's own need not be the pod network's, even inside the ranges of the
    // whole cluster.
    if (self.whole && address.link == node_link) continue;
    if (address.link == facts.underlay_link) facts.shares_link = true;
    const auto [at, fresh] = facts.prefer_src.emplace(address.address.family(), address.address);
    if (!fresh) at->second = std::min(at->second, address.address);
  }
  // Pods may be on ports of the bridge that has the node's address.
  if (const auto at = by_name.find(facts.underlay_link); self.whole && at != by_name.end()) {
    facts.shares_link = at->second->kind == "bridge";
  }
  add_carriers(facts, links, by_name);
  return facts;
}

std::vector<OwnPrefixes> host_networks(std::span<const Address> addresses,
                                       const Connected& connected) {
  std::vector<Prefix> own;
  for (const auto& address : addresses) {
    if (address.link == kTunnelLink || address.link == kVxlanLink) continue;
    own.push_back(Prefix::host(address.address));
  }
  std::vector<Prefix> routers;
  for (const auto& router : connected.routers) routers.push_back(Prefix::host(router));
  return {{"an address of this host", PrefixSet(own)},
          {"the default router of this host", PrefixSet(routers)},
          {"a connected network of this host", PrefixSet(connected.networks)}};
}

}  // namespace cw::routeagent
