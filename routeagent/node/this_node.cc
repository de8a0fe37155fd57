#include "routeagent/node/this_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tunnel/probe/forwarding_address.h"

namespace cw::routeagent {

std::vector<ForwardingTarget> own_targets(const Seen& seen) {
  std::vector<ForwardingTarget> targets;
  const auto* own = own_gateway(seen);
  if (own == nullptr) return targets;
  each_remote_gateway(seen, [&](const std::string& cluster, Family family, const auto& key) {
    targets.push_back({own->ordinal, cluster, family, tunnel::probe_address(key, family), {}});
  });
  return targets;
}

const LocalGateway* own_gateway(const Seen& seen) {
  const auto at =
      std::find_if(seen.gateways.begin(), seen.gateways.end(), [&](const LocalGateway& gateway) {
        return gateway.node == seen.self.name && gateway.key &&
               seen.host.tunnel_addresses.count(tunnel::probe_address(*gateway.key, Family::kV4)) !=
                   0 &&
               seen.host.tunnel_addresses.count(tunnel::probe_address(*gateway.key, Family::kV6)) !=
                   0;
      });
  return at == seen.gateways.end() ? nullptr : &*at;
}

const LocalGateway* moved_gateway(const Seen& seen) {
  const LocalGateway* moved = nullptr;
  for (const auto& gateway : seen.gateways) {
    if (gateway.node == seen.self.name) return nullptr;  // the device is this gateway's
    if (gateway.key &&
        seen.host.tunnel_addresses.count(tunnel::probe_address(*gateway.key, Family::kV6)) != 0) {
      moved = &gateway;
    }
  }
  return moved;
}

namespace {

bool within(const std::vector<Prefix>& prefixes, const IpAddress& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

// Whether the kernel of this host shows that the node's prefixes of this family are in use here.
bool in_use(Family family, std::span<const netlink::Address> addresses,
            const netlink::Connected& connected, const NodeView& self) {
  for (const auto& prefix : self.pod_cidrs) {
    if (prefix.family() != family) continue;
    const auto holds = [&](const auto& one) { return prefix.contains(one); };
    if (std::any_of(addresses.begin(), addresses.end(),
                    [&](const auto& one) { return holds(one.address); }) ||
        std::any_of(connected.networks.begin(), connected.networks.end(), holds) ||
        std::any_of(connected.pods.begin(), connected.pods.end(),
                    [&](const auto& pod) { return holds(pod.first); })) {
      return true;
    }
  }
  return false;
}

// The names of bridges with veth ports.
std::set<std::string> pod_bridges(std::span<const netlink::Link> links) {
  std::set<std::uint32_t> masters;
  for (const auto& link : links) {
    if (link.kind == "veth" && link.master != 0) masters.insert(link.master);
  }
  std::set<std::string> bridges;
  for (const auto& link : links) {
    if (link.kind == "bridge" && masters.count(link.index) != 0) bridges.insert(link.name);
  }
  return bridges;
}

// A pod of this host outside of the node's prefixes, and the device that leads to it.
using Stranger = std::pair<IpAddress, std::string>;

// What to do about strangers. If another source has this one's address, it is the right source.
std::string remedy(const Seen& seen, const IpAddress& stranger) {
  for (const auto& [source, prefixes] : seen.own_by_source) {
    if (source == seen.prefix_source || !within(prefixes, stranger)) continue;
    return fmt::format("{} would be right: set prefixes.source to {}", prefixes::object_of(source),
                       prefixes::name_of(source));
  }
  return "No known object has these addresses: give the node's prefixes in prefixes.nodes";
}

}  // namespace

std::vector<std::pair<IpAddress, std::string>> pods_of(std::span<const netlink::Link> links,
                                                       std::span<const netlink::Address> addresses,
                                                       const netlink::Connected& connected,
                                                       const std::string& underlay_link,
                                                       const NodeView& self) {
  auto pods = connected.pods;
  std::erase_if(pods, [&](const auto& pod) { return pod.second == underlay_link; });
  const auto bridges = pod_bridges(links);
  for (const auto& [link, address, length] : addresses) {
    if (bridges.count(link) == 0 || address.is_link_local()) continue;
    if (!in_use(address.family(), addresses, connected, self)) pods.emplace_back(address, link);
  }
  return pods;
}

std::vector<std::string> unserved_pods(const Seen& seen) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> all;
  const auto& self = seen.self;
  if (seen.remotes.empty()) return all;
  const auto source = prefixes::object_of(seen.prefix_source);
  if (self.pod_cidrs.empty()) {
    const auto& others = seen.prefix_strangers;
    const auto named = std::min(others.size(), kShown);
    all.push_back(fmt::format(
        "Node {} has no pod prefix in {}: no remote cluster reaches its pods, and they reach none. "
        "docs/operations/pod-networks.md lists the sources of prefixes{}{}",
        self.name, source, named == 0 ? "" : ". Prefixes exist for names that are no Nodes: ",
        fmt::join(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(named), ", ")));
    return all;
  }
  if (seen.forward_ours_only) return all;  // no CNI: the routes are those of other programs
  std::vector<Stranger> strangers;
  for (const auto& pod : seen.host.pods) {
    if (!within(self.pod_cidrs, pod.first)) strangers.push_back(pod);
  }
  if (strangers.empty()) return all;
  std::vector<std::string> shown;
  for (const auto& [address, link] : strangers) {
    if (shown.size() < kShown) shown.push_back(fmt::format("{} ({})", address.to_string(), link));
  }
  const auto more = strangers.size() > kShown
                        ? fmt::format(" and {} more", strangers.size() - kShown)
                        : std::string();
  all.push_back(fmt::format(
      "pods of Node {} have addresses outside of its prefixes in {}: {}{}. Remote clusters do not "
      "reach them. {}",
      self.name, source, fmt::join(shown, ", "), more, remedy(seen, strangers.front().first)));
  return all;
}

}  // namespace cw::routeagent
