// The gateway's probe sockets:
//   * one inside the tunnel, which probes all remote gateways and answers them;
//   * one on the node's VXLAN device, which answers the cluster's own nodes;
//   * one per family inside the tunnel, which sends remote nodes' probes back to them.
// Each is opened when its device has the address, and again when the device was made again. Loop
// thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tunnel/probe/forwarding_prober.h"
#include "tunnel/probe/prober.h"

namespace cw::gateway {

struct ProbesConfig {
  Duration interval = std::chrono::milliseconds(100);
  unsigned lost = 3;
  std::uint32_t ordinal = 0;
  std::string tunnel_link;
  tunnel::Key private_key;
  GatewayId self;  // our name at the other parties
};

// Where a socket can be: a device by its index, and its address. A device that was made again has
// another index.
struct ProbePlace {
  std::uint32_t link = 0;
  IpAddress address;
  friend auto operator<=>(const ProbePlace&, const ProbePlace&) = default;
};

class Probes {
 public:
  using Open = std::function<Result<std::unique_ptr<tunnel::Prober>>(tunnel::ProberConfig,
                                                                     tunnel::ProberHooks)>;

  using OpenEcho = std::function<Result<std::unique_ptr<tunnel::EchoServer>>(
      const Endpoint& local, const std::string& device)>;

  // The hooks of the socket inside the tunnel and of the one for nodes. No hook may call keep().
  Probes(ProbesConfig config, Open open, OpenEcho open_echo, tunnel::ProberHooks in_tunnel,
         tunnel::ProberHooks of_nodes);

  struct Wanted {
    std::optional<ProbePlace> tunnel;  // none: the device has no control address yet
    std::optional<ProbePlace> nodes;   // none: there is no VXLAN device
    std::set<ProbePlace> echo;         // where remote nodes' probes through their gateways arrive
    std::map<GatewayId, tunnel::ProbeTarget> targets;  // remote gateways; which may ask as well
    std::map<tunnel::ProbeParty, tunnel::Key> askers;  // the cluster's nodes
  };
  void keep(const Wanted& wanted);

  // Sends one more request to a remote gateway now.
  void ask_now(const GatewayId& target);
  [[nodiscard]] tunnel::ProbeViews views() const;
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  void identify(tunnel::ProberConfig& config) const;
  void keep_tunnel(const Wanted& wanted);
  void keep_nodes(const Wanted& wanted);
  void keep_echo(const Wanted& wanted);

  ProbesConfig config_;
  Open open_;
  OpenEcho open_echo_;
  tunnel::ProberHooks in_tunnel_;
  tunnel::ProberHooks of_nodes_;
  std::unique_ptr<tunnel::Prober> tunnel_;
  std::optional<ProbePlace> tunnel_place_;
  std::unique_ptr<tunnel::Prober> nodes_;
  std::optional<ProbePlace> nodes_place_;
  std::string tunnel_trouble_;
  std::string nodes_trouble_;
  std::map<ProbePlace, std::unique_ptr<tunnel::EchoServer>> echo_;
  std::string echo_trouble_;
};

}  // namespace cw::gateway
