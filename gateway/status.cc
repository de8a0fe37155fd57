#include "gateway/status.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "api/types/codec.h"
#include "base/log.h"

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
    // That there was one is news; the later ones come every two minutes.
    if (tunnel.last_handshake != WallTime{}) tunnel.last_handshake = WallTime(Duration(1));
  }
  for (auto& condition : status.conditions) condition.last_transition = {};
  return status;
}

// As the store keeps it: whole seconds.
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
        // Microseconds are enough, and the same after a round trip through text.
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
    : loop_(loop), store_(store), random_(random) {}

void GatewayWriter::want(const api::TunnelGateway& wanted,
                         const std::shared_ptr<const api::TunnelGateway>& stored, bool urgent) {
  const auto now = loop_.now();
  if (writing_ || now < not_before_) return;
  auto next = wanted;
  if (stored == nullptr) {
    writing_ = true;
    request_ = store_.create({api::Kind::kTunnelGateway, wanted.meta.key, {}, api::encode(next)},
                             [this](auto result) { written(result, false); });
    return;
  }
  next.meta = stored->meta;
  if (stored->spec != wanted.spec) {
    next.status = stored->status;
    writing_ = true;
    request_ = store_.update(
        {api::Kind::kTunnelGateway, next.meta.key, next.meta.resource_version, api::encode(next)},
        [this](auto result) { written(result, false); });
    return;
  }
  if (stored->status == wanted.status) return;
  const bool news = tells_more(stored->status, wanted.status);
  const auto gap = !news ? kNumbersGap : urgent ? Duration::zero() : kNewsGap;
  if (last_status_ && now - *last_status_ < gap) return;
  writing_ = true;
  request_ = store_.update_status(
      {api::Kind::kTunnelGateway, next.meta.key, next.meta.resource_version, api::encode(next)},
      [this](auto result) { written(result, true); });
}

void GatewayWriter::written(const Result<api::Object>& result, bool status) {
  writing_ = false;
  if (result) {
    if (status) last_status_ = loop_.now();
    last_error_.clear();
    backoff_.reset();
    return;
  }
  not_before_ = loop_.now() + backoff_.next(random_);
  const auto code = result.error().code;
  // Another writer was faster: the informer brings the newer object.
  if (code == Errc::kConflict || code == Errc::kExists) return;
  const auto text = result.error().context("write TunnelGateway").text;
  if (text != last_error_) log_warn("gateway object not written", {{"error", text}});
  last_error_ = text;
}

}  // namespace cw::gateway
