#include "routeagent/node/this_node.h"

#include <fmt/format.h>

#include <algorithm>

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

std::vector<std::string> unserved_pods(const Seen& seen) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> all;
  const auto& self = seen.self;
  if (seen.remotes.empty()) return all;
  if (self.pod_cidrs.empty()) {
    all.push_back(
        fmt::format("Node {} has no podCIDR: no remote cluster reaches its pods, and they reach "
                    "none. Let the controller manager give it one (--allocate-node-cidrs), or set "
                    "spec.podCIDRs",
                    self.name));
    return all;
  }
  if (seen.forward_ours_only) return all;  // no CNI: the routes are those of other programs
  std::vector<std::string> outside;
  std::size_t count = 0;
  for (const auto& [address, link] : seen.host.routed_pods) {
    if (std::any_of(self.pod_cidrs.begin(), self.pod_cidrs.end(),
                    [at = &address](const Prefix& own) { return own.contains(*at); })) {
      continue;
    }
    if (++count <= kShown) outside.push_back(fmt::format("{} ({})", address.to_string(), link));
  }
  if (count == 0) return all;
  const auto more = count > kShown ? fmt::format(" and {} more", count - kShown) : std::string();
  all.push_back(fmt::format(
      "pods here have addresses outside of the podCIDRs of Node {}: {}{}. Remote clusters do not "
      "reach them. The CNI must take its addresses from spec.podCIDRs (README, \"Requirements\")",
      self.name, fmt::join(outside, ", "), more));
  return all;
}

}  // namespace cw::routeagent
