#include "routeagent/node/desired.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/prefix_set.h"
#include "netlink/hold.h"
#include "netlink/owners.h"
#include "routeagent/node/hop.h"
#include "routeagent/node/nft.h"
#include "routeagent/node/owned.h"
#include "routeagent/node/this_node.h"
#include "routeagent/node/vtep.h"
#include "routeagent/node/whole_cluster.h"
#include "tunnel/mtu.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::routeagent {

namespace {

using namespace netlink;  // NOLINT(google-build-using-namespace): this file is about its types

constexpr std::uint32_t kNexthopSlots = 32768;  // one per cluster: two ids, one per family

std::vector<Prefix> everything() { return {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0")}; }

std::string vxlan_sysctl(std::string_view family, std::string_view key) {
  return fmt::format("{}/conf/{}/{}", family, kVxlanLink, key);
}

// FNV-1a, 32 bits.
std::uint32_t hash_of(std::string_view text) {
  std::uint32_t hash = 2166136261U;
  for (const char c : text) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  return hash;
}

// The other nodes on cw-vx by underlay address, with their names. Gateways' nodes are among them.
std::map<IpAddress, std::string> vteps(const Seen& seen, std::vector<std::string>& problems) {
  std::map<IpAddress, std::string> found;
  const auto take = [&](const IpAddress& underlay, const std::string& name) {
    if (underlay == seen.self.underlay) return;
    if (underlay.family() != seen.self.underlay.family()) {
      problems.push_back(fmt::format("node {}: underlay address {} is of another family than {}",
                                     name, underlay.to_string(), seen.self.underlay.to_string()));
      return;
    }
    const auto [at, fresh] = found.emplace(underlay, name);
    if (!fresh && at->second != name) {
      problems.push_back(fmt::format("nodes {} and {} have the same address {}", at->second, name,
                                     underlay.to_string()));
    }
  };
  for (const auto& node : seen.others) take(node.underlay, node.name);
  for (const auto& gateway : seen.gateways) take(gateway.node_ip, gateway.node);
  return found;
}

bool has_gateway(const Seen& seen, const IpAddress& underlay) {
  return std::any_of(seen.gateways.begin(), seen.gateways.end(),
                     [&](const auto& gateway) { return gateway.node_ip == underlay; });
}

std::uint32_t underlay_mtu(const Seen& seen) {
  return seen.host.underlay_mtu == 0 ? 1500 : seen.host.underlay_mtu;
}

// The gateway's address on cw-vx; none if it is on this node, its node is left out, or the overlay
// secret is not known.
std::optional<IpAddress> gateway_address(const Seen& seen, const LocalGateway& gateway) {
  if (gateway.node == seen.self.name || !seen.overlay || left_out(seen, gateway))
    return std::nullopt;
  return vtep_address(*seen.overlay, gateway.node_ip);
}

// The nexthop object for one choice; none: no gateway can carry it now.
std::optional<Nexthop> nexthop_of(const Seen& seen, const Decision& decision, const ChoiceKey& key,
                                  std::uint32_t id) {
  const auto choice = decision.choices.find(key);
  if (choice == decision.choices.end() || !choice->second.ordinal) return std::nullopt;
  const auto gateway = std::find_if(seen.gateways.begin(), seen.gateways.end(), [&](const auto& g) {
    return g.ordinal == *choice->second.ordinal;
  });
  if (gateway == seen.gateways.end()) return std::nullopt;
  if (decision.held.count(key) != 0) return hold_nexthop(id);
  if (const auto via = gateway_address(seen, *gateway)) {
    return Nexthop{id, std::string(kVxlanLink), via, Family::kV6, false};
  }
  if (gateway->node != seen.self.name || !seen.host.tunnel_up) return std::nullopt;
  return Nexthop{id, std::string(kTunnelLink), std::nullopt, key.family, false};
}

class Builder {
 public:
  Builder(const Seen& seen, const Decision& decision) : seen_(seen), decision_(decision) {}

  NodeState build() {
    device();
    local_prefixes();
    remote_prefixes();
    from_tunnel();
    to_remote();
    through();
    rules();
    nft();
    for (const auto& [key, route] : state_.routes) {
      if (key.first == kToRemoteTable) state_.exempt.push_back(key.second);
    }
    for (auto& text : unserved_pods(seen_)) problem(std::move(text));
    for (auto& text : whole_cluster_problems(seen_)) problem(std::move(text));
    return std::move(state_);
  }

 private:
  void problem(std::string text) { state_.problems.push_back(std::move(text)); }

  void device() {
    if (seen_.host.underlay_mtu == 0) {
      problem(fmt::format("no link has the node's underlay address {}; MTU 1500 is assumed",
                          seen_.self.underlay.to_string()));
    }
    mtu_ = node_mtu(seen_);
    state_.sysctls["ipv4/ip_forward"] = "1";
    vteps_ = vteps(seen_, state_.problems);
    outers();
    if (seen_.overlay) {
      state_.links.push_back(overlay_link(*seen_.overlay));
    } else {
      state_.left_links.insert(std::string(kVxlanLink));  // its wanted state is not known
    }
  }

  [[nodiscard]] LinkSpec overlay_link(const OverlayKey& key) const {
    const auto mac = vtep_mac(key, seen_.self.underlay);
    LinkSpec link{std::string(kVxlanLink), mtu_};
    link.vxlan = {link.name, overlay_vni(key), kVxlanPort, outer_, mtu_, mac};
    link.sysctls[vxlan_sysctl("ipv4", "rp_filter")] = "2";
    link.sysctls[vxlan_sysctl("ipv6", "disable_ipv6")] = "0";
    link.sysctls[fmt::format("ipv6/neigh/{}/unres_qlen_bytes", kVxlanLink)] = kHoldBytes;
    link.addresses.insert({link.name, link_local_of(mac), 64});
    if (seen_.self.whole) {
      for (const auto family : {Family::kV4, Family::kV6}) {
        const auto own = node_address(key, seen_.self.underlay, family);
        link.addresses.insert({link.name, own, own.bits()});
      }
    }
    // All ranges: after a change of its MAC the device still has the address of the old MAC.
    link.address_ranges = everything();
    for (const auto& [underlay, outer] : outers_) {
      const auto other = vtep_mac(key, underlay);
      link.fdb[other] = outer;
      link.neighbours[link_local_of(other)] = other;
    }
    return link;
  }

  // The outer addresses of VXLAN packets: those of the underlay, or those inside cw-nd.
  void outers() {
    outer_ = seen_.self.underlay;
    std::set<IpAddress> without;
    for (const auto& node : seen_.others) {
      auto why = left_out(seen_, node);
      if (!why) continue;
      without.insert(node.underlay);
      if (talks_to(seen_, node.underlay)) state_.left_out.push_back(std::move(*why));
    }
    if (!seen_.hop) {
      for (const auto& [underlay, node] : vteps_) {
        if (without.count(underlay) == 0) outers_.emplace(underlay, underlay);
      }
      return;
    }
    outer_ = hop_address(*seen_.hop);
    // The tunnel driver makes the device. When the node's key changes, its old address is removed.
    LinkSpec hop{std::string(kHopLink), hop_mtu(underlay_mtu(seen_), seen_.self.underlay.family())};
    hop.sysctls[fmt::format("ipv6/conf/{}/disable_ipv6", kHopLink)] = "0";
    hop.addresses.insert({hop.name, outer_, hop_network().length()});
    hop.address_ranges = {hop_network()};
    state_.links.push_back(std::move(hop));
    std::map<IpAddress, std::string> owners{{outer_, seen_.self.name}};
    for (const auto& node : seen_.others) {
      if (vteps_.count(node.underlay) == 0 || without.count(node.underlay) != 0 ||
          !talks_to(seen_, node.underlay)) {
        continue;
      }
      const auto [at, fresh] = owners.emplace(hop_address(*node.key), node.name);
      if (fresh) {
        outers_.emplace(node.underlay, at->first);
      } else {
        problem(fmt::format("nodes {} and {} have the same key", at->second, node.name));
      }
    }
  }

  // The node of each local pod prefix. If two nodes have the same prefix, the first by name gets
  // it.
  void local_prefixes() {
    std::vector<const NodeView*> nodes{&seen_.self};
    for (const auto& node : seen_.others) nodes.push_back(&node);
    std::sort(nodes.begin(), nodes.end(), [](auto a, auto b) { return a->name < b->name; });
    for (const auto* node : nodes) {
      for (const auto& prefix : node->pod_cidrs) {
        const auto [at, fresh] = local_.emplace(prefix, node);
        if (!fresh) {
          problem(fmt::format("nodes {} and {} have the same pod prefix {}", at->second->name,
                              node->name, prefix.to_string()));
        }
      }
    }
  }

  // A remote prefix gets no route if it overlaps local pods, the underlay (VXLAN itself would be
  // routed into the tunnel) or a network of this host.
  void remote_prefixes() {
    std::vector<Prefix> ours;
    for (const auto& [prefix, node] : local_) ours.push_back(prefix);
    ours.push_back(Prefix::host(seen_.self.underlay));
    for (const auto& [underlay, node] : vteps_) ours.push_back(Prefix::host(underlay));
    if (seen_.hop) ours.push_back(hop_network());
    const PrefixSet taken(ours);
    auto remotes = seen_.remotes;
    std::sort(remotes.begin(), remotes.end(), [](auto& a, auto& b) { return a.id < b.id; });
    for (const auto& remote : remotes) {
      for (const auto& prefix : remote.prefixes) {
        if (const auto local = taken.overlapping(prefix)) {
          problem(fmt::format("cluster {}: {} overlaps {} of this cluster", remote.id,
                              prefix.to_string(), local->to_string()));
          continue;
        }
        if (const auto why = never_a_peers(prefix, seen_.host.networks)) {
          problem(fmt::format("cluster {}: {} is not routed: it {}", remote.id, prefix.to_string(),
                              *why));
          continue;
        }
        const auto [at, fresh] = remote_.emplace(prefix, remote.id);
        if (!fresh && at->second != remote.id) {
          problem(fmt::format("clusters {} and {} both claim {}", at->second, remote.id,
                              prefix.to_string()));
        }
      }
    }
  }

  void put(Route route) {
    const RouteKey key{route.table, route.dst};
    state_.routes[key] = std::move(route);
  }

  // On gateway nodes: packets from the tunnel reach pods and nothing else. The routes are made as
  // soon as a TunnelGateway object names this node, so that the tunnel is never up without them.
  void from_tunnel() {
    if (!is_gateway_node(seen_)) return;
    Route route;
    route.table = kFromTunnelTable;
    for (const auto& all : everything()) {
      route.dst = all;
      route.type = RouteType::kUnreachable;
      put(route);
    }
    for (const auto& [prefix, node] : local_) {
      route.dst = prefix;
      if (node == &seen_.self) {
        route.type = RouteType::kThrow;
        route.link.clear();
        route.gateway.reset();
      } else {
        if (!seen_.overlay || outers_.count(node->underlay) == 0) continue;
        route.type = RouteType::kUnicast;
        route.link = kVxlanLink;
        route.gateway = vtep_address(*seen_.overlay, node->underlay);
      }
      put(route);
    }
    for (auto& more : whole_cluster_routes(seen_)) put(std::move(more));
    // The rule stands before the one that leads to the host's own addresses where a CNI moved that
    // one: Cilium gives it priority 100.
    for (const auto& own : seen_.host.tunnel_addresses) {
      if (own.is_link_local()) continue;
      Route local;
      local.table = kFromTunnelTable;
      local.dst = Prefix::host(own);
      local.type = RouteType::kThrow;
      put(std::move(local));
    }
  }

  // Before a gateway is chosen, every route is unreachable, so that no packet leaves in the clear.
  // The reconciler then adds missing routes only (State::decided).
  void to_remote() {
    state_.decided = decision_.decided;
    if (decision_.decided) state_.nexthops = desired_nexthops(seen_, decision_);
    const auto ids = nexthop_ids(seen_.remotes);
    for (const auto& [prefix, cluster] : remote_) {
      Route route;
      route.table = kToRemoteTable;
      route.dst = prefix;
      const auto id = ids.find({cluster, prefix.family()});
      if (id != ids.end() && state_.nexthops.count(id->second) != 0) {
        route.nexthop_id = id->second;
        const auto source = seen_.host.prefer_src.find(prefix.family());
        if (source != seen_.host.prefer_src.end()) route.prefer_src = source->second;
        // The node refuses larger packets, with an ICMP message to the pod. Otherwise they would
        // be lost on the way without a message.
        const auto narrow = decision_.path_mtu.find({cluster, prefix.family()});
        if (narrow != decision_.path_mtu.end()) route.mtu = narrow->second;
      } else {
        route.type = RouteType::kUnreachable;
      }
      put(std::move(route));
    }
  }

  // Probes through a gateway have routes of their own, so they reach it whichever is chosen.
  void through() {
    for (const auto& target : forwarding_targets(seen_)) {
      Route route;
      route.table = kToRemoteTable;
      route.dst = Prefix::host(target.address);
      route.link = kVxlanLink;
      route.gateway = target.via;
      route.prefer_src = probe_source(seen_, target.family);
      put(std::move(route));
    }
  }

  void rules() {
    const auto rules =
        is_gateway_node(seen_) ? behind_transit(seen_.rules, seen_.host.transit_rule) : seen_.rules;
    state_.priorities = rules;
    state_.pods = seen_.self.pod_cidrs;
    if (seen_.stray_tunnel) state_.stray_tunnel = seen_.host.tunnel_kind;
    state_.rules = bypass_rules(rules);
    for (const auto family : {Family::kV4, Family::kV6}) {
      state_.rules.insert({family, rules.to_remote(), kToRemoteTable, {}});
      if (is_gateway_node(seen_)) {
        state_.rules.insert(
            {family, rules.from_tunnel(), kFromTunnelTable, std::string(kTunnelLink)});
      }
    }
  }

  // A worker accepts frames of gateway nodes only, because workers send to gateways only. The inner
  // sources of a sender are its address on cw-vx (probes), and its pods if this node is a gateway
  // node. A gateway also answers probes through it, from addresses that stand for remote gateways.
  [[nodiscard]] OverlayGuard overlay_guard() const {
    OverlayGuard guard;
    guard.outer = outer_;
    guard.arrival_link = seen_.hop ? std::string(kHopLink) : seen_.host.underlay_link;
    guard.outside_link = seen_.host.shares_link ? "" : seen_.host.underlay_link;
    guard.encrypted = seen_.hop.has_value();
    guard.gateway = is_gateway_node(seen_);
    if (!seen_.overlay) return guard;
    std::map<IpAddress, std::vector<Prefix>> pods;  // by the underlay address of their node
    if (guard.gateway) {
      for (const auto& [prefix, node] : local_) pods[node->underlay].push_back(prefix);
      for (const auto& [underlay, sources] : probe_sources(seen_)) {
        pods[underlay] = seen_.self.pod_cidrs;  // any node may have a pod anywhere in them
        pods[underlay].insert(pods[underlay].end(), sources.begin(), sources.end());
      }
    }
    std::map<IpAddress, std::vector<Prefix>> answers;  // by the gateway's address on cw-vx
    for (const auto& target : forwarding_targets(seen_)) {
      answers[target.via].push_back(Prefix::host(target.address));
    }
    for (const auto& [underlay, outer] : outers_) {
      OverlaySender sender{outer, vtep_mac(*seen_.overlay, underlay), pods[underlay], false};
      const auto link_local = link_local_of(sender.mac);
      sender.gateway = has_gateway(seen_, underlay);
      if (!sender.gateway && !guard.gateway) continue;
      sender.sources.push_back(Prefix::host(link_local));
      const auto& through = answers[link_local];
      sender.sources.insert(sender.sources.end(), through.begin(), through.end());
      guard.senders.push_back(std::move(sender));
    }
    return guard;
  }

  void nft() {
    NftInputs inputs;
    inputs.mtu = seen_.host.tunnel_mtu == 0 ? mtu_ : std::min(mtu_, seen_.host.tunnel_mtu);
    std::vector<Prefix> others;
    for (const auto& [prefix, node] : local_) {
      inputs.local.push_back(prefix);
      if (node != &seen_.self) others.push_back(prefix);
    }
    inputs.own = owned_addresses(seen_.self.pod_cidrs, others);
    inputs.host = seen_.host.prefer_src;
    add_whole_cluster(inputs);
    for (const auto& [prefix, cluster] : remote_) {
      inputs.remote.push_back(prefix);
      const auto narrow = decision_.path_mtu.find({cluster, prefix.family()});
      if (narrow != decision_.path_mtu.end()) inputs.narrow.emplace(prefix, narrow->second);
    }
    inputs.nodes.insert(seen_.self.underlay);
    for (const auto& [underlay, node] : vteps_) inputs.nodes.insert(underlay);
    inputs.overlay = overlay_guard();
    state_.nft = node_table(inputs);
    state_.guarded = kVxlanLink;
    if (seen_.forward_ours_only) state_.forward = ForwardInputs{inputs.local, inputs.remote};
    // IPv6 forwarding makes a host ignore router advertisements, so it is on only for IPv6 pods.
    const bool v6 = std::any_of(local_.begin(), local_.end(),
                                [](const auto& entry) { return !entry.first.is_v4(); });
    if (v6) state_.sysctls["ipv6/conf/all/forwarding"] = "1";
  }

  void add_whole_cluster(NftInputs& inputs) const {
    if (!seen_.self.whole) return;
    inputs.whole = true;
    inputs.carriers = seen_.host.carriers;
    inputs.nodes.insert(seen_.node_addresses.begin(), seen_.node_addresses.end());
    if (seen_.host.carrier_mtu != 0) inputs.mtu = std::min(inputs.mtu, seen_.host.carrier_mtu);
    for (const auto family : {Family::kV4, Family::kV6}) {
      if (const auto source = probe_source(seen_, family)) {
        inputs.own.push_back(Prefix::host(*source));
        inputs.local.push_back(Prefix::host(*source));
      }
    }
  }

  const Seen& seen_;
  const Decision& decision_;
  NodeState state_;
  std::uint32_t mtu_ = 0;
  std::map<IpAddress, std::string> vteps_;
  IpAddress outer_;                        // of this node
  std::map<IpAddress, IpAddress> outers_;  // of the others, by their underlay addresses
  std::map<Prefix, const NodeView*> local_;
  std::map<Prefix, std::string> remote_;
};

}  // namespace

std::uint32_t vxlan_mtu(std::uint32_t underlay_mtu, Family underlay, std::uint32_t tunnel_mtu) {
  constexpr std::uint32_t kLeast = 1280;  // below it the kernel turns IPv6 off on the device
  // Outer IP and UDP header, VXLAN header, inner Ethernet header.
  const std::uint32_t overhead = underlay == Family::kV4 ? 50 : 70;
  const auto tunnel = tunnel_mtu == 0 ? tunnel::kTunnelMtu : tunnel_mtu;
  const auto room = underlay_mtu > kLeast + overhead ? underlay_mtu - overhead : kLeast;
  return std::max(kLeast, std::min(room, tunnel));
}

std::uint32_t node_mtu(const Seen& seen) {
  const auto family = seen.self.underlay.family();
  const auto underlay = underlay_mtu(seen);
  if (!seen.hop) return vxlan_mtu(underlay, family, seen.host.tunnel_mtu);
  return vxlan_mtu(hop_mtu(underlay, family), Family::kV6, seen.host.tunnel_mtu);
}

std::map<ChoiceKey, std::uint32_t> nexthop_ids(std::span<const RemoteView> remotes) {
  std::set<std::string> clusters;
  for (const auto& remote : remotes) clusters.insert(remote.id);
  std::map<ChoiceKey, std::uint32_t> ids;
  std::set<std::uint32_t> used;
  for (const auto& cluster : clusters) {
    if (used.size() == kNexthopSlots) break;
    auto slot = hash_of(cluster) % kNexthopSlots;
    while (!used.insert(slot).second) slot = (slot + 1) % kNexthopSlots;
    ids[{cluster, Family::kV4}] = kNexthopBase + 2 * slot;
    ids[{cluster, Family::kV6}] = kNexthopBase + 2 * slot + 1;
  }
  return ids;
}

void each_remote_gateway(const Seen& seen, const EachRemoteGateway& each) {
  constexpr std::size_t kMostGateways = 8;  // of a remote cluster; bounds the number of probes
  for (const auto& remote : seen.remotes) {
    for (const auto family : {Family::kV4, Family::kV6}) {
      if (std::none_of(remote.prefixes.begin(), remote.prefixes.end(),
                       [&](const Prefix& p) { return p.family() == family; })) {
        continue;
      }
      std::size_t count = 0;
      for (const auto& key : remote.gateways) {
        if (++count > kMostGateways) break;
        each(remote.id, family, key);
      }
    }
  }
}

std::vector<ForwardingTarget> forwarding_targets(const Seen& seen) {
  std::vector<ForwardingTarget> targets;
  for (const auto& gateway : seen.gateways) {
    const auto via = gateway_address(seen, gateway);
    if (!gateway.key || !via) continue;
    each_remote_gateway(seen, [&](const std::string& cluster, Family family, const auto& key) {
      if (!probe_source(seen, family)) return;
      targets.push_back({gateway.ordinal, cluster, family,
                         tunnel::forwarding_address(*gateway.key, key, family), *via});
    });
  }
  return targets;
}

NexthopMap desired_nexthops(const Seen& seen, const Decision& decision) {
  NexthopMap nexthops;
  for (const auto& [key, id] : nexthop_ids(seen.remotes)) {
    if (auto nexthop = nexthop_of(seen, decision, key, id))
      nexthops.emplace(id, std::move(*nexthop));
  }
  return nexthops;
}

bool is_gateway_node(const Seen& seen) {
  return seen.host.tunnel_mtu != 0 ||
         std::any_of(seen.gateways.begin(), seen.gateways.end(),
                     [&](const auto& gateway) { return gateway.node == seen.self.name; });
}

bool talks_to(const Seen& seen, const IpAddress& underlay) {
  return is_gateway_node(seen) || has_gateway(seen, underlay);
}

std::optional<LeftOut> left_out(const Seen& seen, const NodeView& node) {
  if (auto why = difference(node.name, seen.side, node.overlay)) return why;
  if (!seen.hop || (node.key && node.overlay)) return std::nullopt;
  return LeftOut{node.name, "no key", "wireguard",
                 fmt::format("node {} has published no key for overlay wireguard: no traffic "
                             "passes between it and this node; run a route agent there",
                             node.name)};
}

std::optional<LeftOut> left_out(const Seen& seen, const LocalGateway& gateway) {
  const auto node = std::find_if(seen.others.begin(), seen.others.end(),
                                 [&](const auto& one) { return one.name == gateway.node; });
  return node == seen.others.end() ? std::nullopt : left_out(seen, *node);
}

NodeState desired_state(const Seen& seen, const Decision& decision) {
  return Builder(seen, decision).build();
}

}  // namespace cw::routeagent
