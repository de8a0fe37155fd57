#include "gateway/object.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

namespace cw::gateway {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// The store keeps whole seconds.
WallTime whole_seconds(WallTime time) {
  return std::chrono::time_point_cast<std::chrono::seconds>(time);
}

// The local prefixes that send through this gateway. A node that claims has its prefixes where it
// says, any other where the home order puts it if the other gateways are as their objects say.
std::vector<Prefix> homed_here(const ObjectInput& input) {
  const auto& view = input.view;
  const auto& [cluster, self] = input.identity.self;
  std::vector<homing::GatewayView> views{{self, true, input.draining, input.config.node}};
  for (const auto& [key, other] : view.gateways.items()) {
    if (other->spec.ordinal != self) views.push_back(local_view(*other));
  }
  const auto claimed = input.claims.claimed();
  const auto carried = input.claims.carried_by(self);
  std::set<Prefix> homed;
  for (const auto& [node, prefixes] : view.prefixes()) {
    const bool home = homing::home_of({cluster, node}, views) == self;
    for (const auto& prefix : prefixes) {
      const std::pair of{node, prefix.family()};
      if (claimed.count(of) != 0 ? carried.count(of) != 0 : home) homed.insert(prefix);
    }
  }
  return {homed.begin(), homed.end()};
}

api::Condition fits_pod_network(const ObjectInput& input) {
  std::vector<Prefix> remotes;
  for (const auto& [cluster, remote] : input.tunnels.clusters()) {
    remotes.insert(remotes.end(), remote.cidrs.begin(), remote.cidrs.end());
  }
  const auto node = input.view.pods.nodes().find({"", input.config.node});
  const auto obstacles = input.view.obstacles.of(node.get(), remotes);
  const bool fits = obstacles.empty();
  return {"PodNetworkFits",
          fits ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
          fits ? "NothingFound" : "SettingInTheWay",
          fmt::format("{}", fmt::join(obstacles, "; ")),
          0,
          {}};
}

}  // namespace

api::ObjectKey gateway_key(std::uint32_t ordinal) {
  return {"", fmt::format("gateway-{}", ordinal)};
}

std::vector<api::TunnelStatus> tunnel_statuses(const Tunnels& tunnels) {
  std::map<GatewayId, std::vector<Prefix>> allowed;
  for (const auto& [prefix, owner] : tunnels.placement()) allowed[owner].push_back(prefix);
  std::vector<api::TunnelStatus> all;
  each_gateway(tunnels.clusters(), [&](const GatewayId& id, const RemoteGateway& gateway) {
    api::TunnelStatus status;
    status.cluster = id.cluster;
    status.ordinal = id.ordinal;
    status.state = tunnel::to_string(tunnel::LinkState::kConnecting);
    if (const auto at = tunnels.verdicts().views.find(id); at != tunnels.verdicts().views.end()) {
      const auto& view = at->second;
      status.state = tunnels.peers().stuck(id) ? "stuck" : tunnel::to_string(view.state);
      status.trouble = view.trouble;
      // Whole microseconds stay the same when they are written as text and read back.
      status.rtt_ms = std::round(Milliseconds(view.rtt).count() * 1000) / 1000;
      status.jitter_ms = std::round(Milliseconds(view.jitter).count() * 1000) / 1000;
      status.loss = std::round(view.loss * 1000) / 1000;
    }
    if (auto rival = tunnels.peers().rival(id); !rival.empty()) status.trouble = std::move(rival);
    const auto& peers = tunnels.device().peers;
    if (const auto peer = peers.find(gateway.key); peer != peers.end()) {
      if (peer->second.endpoint) status.endpoint = peer->second.endpoint->to_string();
      status.last_handshake = whole_seconds(peer->second.last_handshake);
      status.rx_bytes = peer->second.rx_bytes;
      status.tx_bytes = peer->second.tx_bytes;
    }
    if (status.trouble.empty()) status.trouble = tunnels.peers().no_answer(id);
    status.allowed = std::move(allowed[id]);
    all.push_back(std::move(status));
  });
  return all;
}

homing::GatewayView local_view(const api::TunnelGateway& gateway) {
  const auto* ready = api::find_condition(gateway.status.conditions, "Ready");
  return {gateway.spec.ordinal, ready != nullptr && ready->status == api::ConditionStatus::kTrue,
          gateway.status.draining, gateway.spec.node};
}

api::TunnelGateway desired_object(const ObjectInput& input) {
  const auto& config = input.config;
  const auto& view = input.view;
  api::TunnelGateway gateway;
  gateway.meta.key = gateway_key(config.ordinal);
  gateway.spec.ordinal = config.ordinal;
  gateway.spec.node = config.node;
  const auto node = view.pods.nodes().find({"", config.node});
  if (node != nullptr && !node->internal_ips.empty()) {
    gateway.spec.node_ip = node->internal_ips.front();
  }
  gateway.spec.public_key = input.identity.public_key.base64();
  gateway.spec.endpoints = input.endpoints.endpoints;
  gateway.spec.control_address = input.identity.control_address;

  auto& status = gateway.status;
  status.driver = input.driver;
  status.draining = input.draining;
  status.tunnels = tunnel_statuses(input.tunnels);
  status.observed = input.observed;
  status.homed = homed_here(input);
  status.prefix_source = prefixes::name_of(view.pods.network().source);
  if (const auto stored = view.gateways.find(gateway.meta.key)) {
    status.conditions = stored->status.conditions;
  }
  auto reasons = input.not_ready;
  std::erase(reasons, "draining");  // status.draining says it
  (void)api::set_condition(         // the writer compares the whole object
      status.conditions,
      {"Ready",
       reasons.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       reasons.empty() ? "Working" : "NotWorking",
       fmt::format("{}", fmt::join(reasons, "; ")),
       0,
       {}},
      input.now);
  const auto& notes = view.pods.network().notes;
  (void)api::set_condition(
      status.conditions,
      {"PrefixesInOrder",
       notes.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       notes.empty() ? "AsExpected" : "PodNetwork",
       fmt::format("{}", fmt::join(notes, "; ")),
       0,
       {}},
      input.now);
  (void)api::set_condition(status.conditions, input.endpoints.condition, input.now);
  (void)api::set_condition(status.conditions, fits_pod_network(input), input.now);
  return gateway;
}

}  // namespace cw::gateway
