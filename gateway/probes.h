// The gateway's probes and its answers to probes. The sockets are:
//   * one inside the tunnel, which probes all remote gateways and answers them;
//   * one on the node's VXLAN device, which answers the cluster's own nodes;
//   * one per family inside the tunnel, which sends remote nodes' probes back to them.
// Each is opened when its device has the address, and again when the device was made again. Claims
// go in and out with the probes. The asker's key is proven (tunnel/probe/prober.h). A node speaks
// for its own prefixes only, a gateway for its cluster's. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/foundation.h"
#include "gateway/sighting_talk.h"
#include "gateway/tunnels.h"
#include "homing/claim_table.h"

namespace cw::gateway {

using homing::ClaimTable;

class Probes {
 public:
  // What probes carry and change.
  struct Parts {
    Tunnels& tunnels;
    ClaimTable& claims;
    SightingTalk& sightings;
  };
  // `on_change`: a result of the probes in tunnels changed. It may not call reconcile().
  Probes(Foundation& base, const Identity& identity, const Parts& parts,
         std::function<void()> on_change);

  // Opens and closes the sockets, and sets their targets and askers.
  void reconcile();
  [[nodiscard]] tunnel::ProbeViews views() const;
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  // Where a socket can be: a device by its index, and its address. A device that was made again has
  // another index.
  struct Place {
    std::uint32_t link = 0;
    IpAddress address;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Places {
    std::optional<Place> tunnel;  // none: the device has no control address yet
    std::optional<Place> nodes;   // none: there is no VXLAN device
    std::set<Place> echo;
  };
  struct Socket {
    std::unique_ptr<tunnel::Prober> prober;
    std::optional<Place> place;
    std::string trouble;
  };
  [[nodiscard]] Places places() const;
  [[nodiscard]] bool settled();
  // Opens the socket at its place, or closes it. True: it is open.
  bool open(Socket& socket, const std::optional<Place>& place, tunnel::ProberConfig config,
            tunnel::ProberHooks (Probes::*hooks)(), const char* what);
  void reconcile_tunnel(const std::optional<Place>& place);
  void reconcile_nodes(const std::optional<Place>& place);
  void reconcile_echo(const std::set<Place>& wanted);

  [[nodiscard]] tunnel::ProberHooks tunnel_hooks();
  [[nodiscard]] tunnel::ProberHooks node_hooks();
  void answer(tunnel::Probe& reply) const;
  void answer_gateway(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                      tunnel::Probe& reply);
  void answer_claims(const GatewayId& from, const tunnel::Probe& request, bool fresh,
                     tunnel::Probe& reply);
  void answer_node(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                   tunnel::Probe& reply);
  void send_news();

  Foundation& base_;
  const Identity& identity_;
  Tunnels& tunnels_;
  ClaimTable& claims_;
  SightingTalk& sightings_;
  std::function<void()> on_change_;
  std::set<GatewayId> news_for_;  // remote gateways with news of our nodes' claims
  Handle sending_;
  Socket tunnel_;
  Socket nodes_;
  std::map<Place, std::unique_ptr<tunnel::EchoServer>> echo_;
  std::string echo_trouble_;
};

}  // namespace cw::gateway
