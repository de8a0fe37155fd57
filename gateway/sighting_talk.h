// The gateway's part in telling where gateways are seen (gateway/peers/sightings.h). Probes in
// tunnels carry it. A gateway without a tunnel to another one asks all gateways that it reaches. An
// answer needs the public key of the sought gateway, so only parties of one pairing learn endpoints
// of each other. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "api/types/tunnel_gateway.h"
#include "gateway/own_identity.h"
#include "gateway/peers/sighting_words.h"
#include "gateway/tunnels.h"

namespace cw::gateway {

class SightingTalk {
 public:
  // `on_news`: other sightings than before.
  SightingTalk(Loop& loop, const Identity& identity, const Tunnels& tunnels,
               std::function<void()> on_news);

  // Reads the remote gateways of `tunnels` again. Call it at each pass.
  void reconcile();
  // Takes the endpoints that another gateway of this cluster uses.
  void read_sibling(const api::TunnelGateway& sibling);
  // Forgets what was not repeated. Call it about every second.
  void tick();

  // Both append to a probe that has its claims.
  void fill(const GatewayId& target, tunnel::Probe& request);
  void answer(const GatewayId& asker, const tunnel::Probe& request, tunnel::Probe& reply) const;
  void hear(const GatewayId& from, const tunnel::Probe& reply);

  [[nodiscard]] const Sightings& sightings() const { return sightings_; }
  // How remote gateways see this one.
  [[nodiscard]] std::vector<api::ObservedEndpoint> observed() const;

 private:
  struct Remote {
    GatewayId id;
    tunnel::Key key;
  };
  [[nodiscard]] const Endpoint* seen_at(SightingId id) const;
  void take(const GatewayId& reporter, SightingId id, const Endpoint& at);

  Loop& loop_;
  const Identity& identity_;
  const Tunnels& tunnels_;
  std::function<void()> on_news_;
  Sightings sightings_;
  SightingId self_;
  std::map<SightingId, Remote> remotes_;
  std::map<GatewayId, SightingId> ids_;
  SightingId turn_ = 0;  // the sought gateway with which the next request begins
};

}  // namespace cw::gateway
