#include "gateway/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cw::gateway {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

bool same_measurements(const api::TunnelStatus& a, const api::TunnelStatus& b) {
  if (std::abs(a.loss - b.loss) >= 0.05) return false;
  const double apart = std::abs(a.rtt_ms - b.rtt_ms);
  return apart < 1 || apart < std::max(a.rtt_ms, b.rtt_ms) / 2;
}

api::TunnelGateway::Status bare(api::TunnelGateway::Status status) {
  for (auto& tunnel : status.tunnels) {
    tunnel.rtt_ms = tunnel.jitter_ms = tunnel.loss = 0;
    tunnel.rx_bytes = tunnel.tx_bytes = 0;
    // The first handshake is news. The later ones come every two minutes.
    if (tunnel.last_handshake != WallTime{}) tunnel.last_handshake = WallTime(Duration(1));
  }
  for (auto& condition : status.conditions) condition.last_transition = {};
  return status;
}

// The store keeps whole seconds.
WallTime whole_seconds(WallTime time) {
  return std::chrono::time_point_cast<std::chrono::seconds>(time);
}

}  // namespace

api::ObjectKey gateway_key(std::uint32_t ordinal) {
  return {"", fmt::format("gateway-{}", ordinal)};
}

std::vector<api::TunnelStatus> tunnel_statuses(const Tunnels& tunnels) {
  std::map<GatewayId, std::vector<Prefix>> allowed;
  for (const auto& [prefix, owner] : tunnels.placement()) allowed[owner].push_back(prefix);
  std::vector<api::TunnelStatus> all;
  for (const auto& [cluster, remote] : tunnels.clusters()) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      api::TunnelStatus status;
      status.cluster = cluster;
      status.ordinal = ordinal;
      status.state = tunnel::to_string(tunnel::LinkState::kConnecting);
      if (const auto at = tunnels.views().find(id); at != tunnels.views().end()) {
        const auto& view = at->second;
        status.state = tunnels.stuck(id) ? "stuck" : tunnel::to_string(view.state);
        status.trouble = view.trouble;
        // Whole microseconds stay the same when they are written as text and read back.
        status.rtt_ms = std::round(Milliseconds(view.rtt).count() * 1000) / 1000;
        status.jitter_ms = std::round(Milliseconds(view.jitter).count() * 1000) / 1000;
        status.loss = std::round(view.loss * 1000) / 1000;
      }
      if (auto rival = tunnels.rival(id); !rival.empty()) status.trouble = std::move(rival);
      const auto& peers = tunnels.device().peers;
      if (const auto peer = peers.find(gateway.key); peer != peers.end()) {
        if (peer->second.endpoint) status.endpoint = peer->second.endpoint->to_string();
        status.last_handshake = whole_seconds(peer->second.last_handshake);
        status.rx_bytes = peer->second.rx_bytes;
        status.tx_bytes = peer->second.tx_bytes;
      }
      if (status.trouble.empty()) status.trouble = tunnels.no_answer(id);
      status.allowed = std::move(allowed[id]);
      all.push_back(std::move(status));
    }
  }
  return all;
}

std::vector<Prefix> homed_here(const std::string& cluster, const std::vector<Prefix>& cidrs,
                               const std::vector<homing::GatewayView>& gateways,
                               std::uint32_t self) {
  std::vector<Prefix> homed;
  for (const auto& prefix : cidrs) {
    if (homing::home_of(cluster, prefix, gateways) == self) homed.push_back(prefix);
  }
  return homed;
}

homing::GatewayView local_view(const api::TunnelGateway& gateway, const std::vector<Prefix>& own) {
  const auto* ready = api::find_condition(gateway.status.conditions, "Ready");
  return {gateway.spec.ordinal, ready != nullptr && ready->status == api::ConditionStatus::kTrue,
          gateway.status.draining, PrefixSet(own)};
}

bool tells_more(const api::TunnelGateway::Status& a, const api::TunnelGateway::Status& b) {
  if (bare(a) != bare(b)) return true;
  return !std::equal(a.tunnels.begin(), a.tunnels.end(), b.tunnels.begin(), b.tunnels.end(),
                     same_measurements);
}

GatewayWriter::GatewayWriter(Loop& loop, api::Store& store, Random& random)
    : loop_(loop),
      keeper_(loop, store, random,
              {[this](const auto&) { return step(); }, [this](const auto&) { return stored_; },
               [this](const auto&, api::Verb verb, const auto& result) {
                 if (result && verb == api::Verb::kStatus) last_status_ = loop_.now();
               }}) {}

void GatewayWriter::want(const api::TunnelGateway& wanted,
                         std::shared_ptr<const api::TunnelGateway> stored, bool urgent) {
  wanted_ = wanted;
  stored_ = std::move(stored);
  urgent_ = urgent;
  keeper_.look({api::Kind::kTunnelGateway, wanted_.meta.key});
}

api::Step GatewayWriter::step() const {
  auto next = wanted_;
  if (stored_ == nullptr) return api::write_step(api::Verb::kCreate, next);
  next.meta = stored_->meta;
  if (stored_->spec != wanted_.spec) return api::write_step(api::Verb::kUpdate, next);
  if (stored_->status == wanted_.status) return {};
  const bool news = tells_more(stored_->status, wanted_.status);
  const auto gap = !news ? kNumbersGap : urgent_ ? Duration::zero() : kNewsGap;
  if (last_status_ && loop_.now() - *last_status_ < gap) return {};
  return api::write_step(api::Verb::kStatus, next);
}

}  // namespace cw::gateway
