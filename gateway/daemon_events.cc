// Events that the daemon records on its TunnelGateway object. No packet's path depends on them.
#include <fmt/format.h>

#include "gateway/daemon_identified.h"

namespace cw::gateway {

std::optional<api::ObjectMeta> Daemon::stored_meta() const {
  const auto stored =
      view_ == nullptr ? nullptr : view_->gateways.find(gateway_key(config_.ordinal));
  return stored == nullptr ? std::nullopt : std::optional(stored->meta);
}

TunnelEvents Daemon::tell() {
  TunnelEvents tell;
  tell.moved = [this](const std::vector<Move>& moves) {
    for (const auto& move : moves) {
      switches_.add({fmt::format("prefixes of {}", move.to.cluster),
                     fmt::format("gateway {}", to_string(move.from)),
                     fmt::format("gateway {}", to_string(move.to)), move.reason,
                     deps_.loop.wall_now(), move.broke, move.prefixes});
    }
  };
  tell.stuck = [this](const GatewayId& id, Remedy remedy) {
    const auto meta = stored_meta();
    if (!meta) return;
    events_.record(
        api::Kind::kTunnelGateway, *meta,
        {true, "TunnelStuck",
         fmt::format("handshakes with {} succeed, but no data arrives. Making the {} again",
                     to_string(id), remedy == Remedy::kDevice ? "device" : "peer")});
  };
  tell.changed = [this] { look_again(); };
  tell.rival = [this](const GatewayId&, const std::string& sentence) {
    const auto meta = stored_meta();
    if (!meta) return;
    events_.record(api::Kind::kTunnelGateway, *meta, {true, "KeyUsedTwice", sentence});
  };
  return tell;
}

}  // namespace cw::gateway
