#include "gateway/object.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cw::gateway {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// The store keeps whole seconds.
WallTime whole_seconds(WallTime time) {
  return std::chrono::time_point_cast<std::chrono::seconds>(time);
}

// The local prefixes that send through this gateway. A claimed prefix is homed where its node says,
// any other where the home order puts it if the other gateways are as their objects say.
std::vector<Prefix> homed_here(const ObjectInput& input) {
  const auto& view = input.view;
  const auto self = input.config.ordinal;
  std::vector<homing::GatewayView> views{
      {self, true, input.draining, PrefixSet(view.own_prefixes(input.config.node))}};
  for (const auto& [key, other] : view.gateways.items()) {
    if (other->spec.ordinal == self) continue;
    views.push_back(local_view(*other, view.own_prefixes(other->spec.node)));
  }
  const auto claimed = input.claims.claimed();
  auto homed = input.claims.carried_by(self);
  for (const auto& prefix : view.cidrs()) {
    if (claimed.count(prefix) != 0) continue;
    if (homing::home_of(input.identity.self.cluster, prefix, views) == self) homed.insert(prefix);
  }
  return {homed.begin(), homed.end()};
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

homing::GatewayView local_view(const api::TunnelGateway& gateway, const std::vector<Prefix>& own) {
  const auto* ready = api::find_condition(gateway.status.conditions, "Ready");
  return {gateway.spec.ordinal, ready != nullptr && ready->status == api::ConditionStatus::kTrue,
          gateway.status.draining, PrefixSet(own)};
}

std::vector<Endpoint> own_endpoints(const Config& config, const ClusterView& view) {
  if (!config.endpoints.empty()) return config.endpoints;
  std::vector<Endpoint> all;
  if (const auto node = view.pods.nodes().find({"", config.node})) {
    for (const auto& address : node->internal_ips) all.push_back({address, config.listen_port});
  }
  return all;
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
  gateway.spec.endpoints = own_endpoints(config, view);
  gateway.spec.control_address = input.identity.control_address;

  auto& status = gateway.status;
  status.driver = input.driver;
  status.draining = input.draining;
  status.tunnels = tunnel_statuses(input.tunnels);
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
  return gateway;
}

}  // namespace cw::gateway
