// The part of the Daemon that exists once its cluster id and key are known. For the Daemon's own
// sources only.
#pragma once

#include <set>

#include "gateway/daemon.h"
#include "homing/claim_table.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {

using homing::ClaimTable;

struct Daemon::Identified {
  Identified(const Deps& deps, const Config& config, GatewayId id, const tunnel::Key& key,
             tunnel::ProberHooks in_tunnel, tunnel::ProberHooks of_nodes, TunnelEvents tell,
             const std::function<void()>& on_clusters)
      : self(std::move(id)),
        private_key(key),
        public_key(key.public_key()),
        control_address(tunnel::control_address(public_key)),
        probe_address(tunnel::probe_address(public_key, Family::kV4)),
        tunnels(deps.loop, deps.driver, deps.metrics, {key, config.listen_port, config.keepalive},
                std::move(tell), deps.tunnel_background),
        probes({config.probe_interval, config.probe_lost, config.ordinal,
                std::string(netlink::kTunnelLink), private_key, self},
               deps.open_prober, deps.open_echo, std::move(in_tunnel), std::move(of_nodes)),
        feed(deps.loop, deps.store, deps.random, deps.metrics,
             {self, config.ns, control_address, key, config.heartbeat, config.export_namespaces},
             on_clusters) {}

  GatewayId self;
  tunnel::Key private_key;
  tunnel::Key public_key;
  IpAddress control_address;
  IpAddress probe_address;
  Paired paired;
  std::map<api::ObjectKey, Trouble> troubles;
  Tunnels tunnels;
  ClaimTable claims;
  std::set<GatewayId> to_tell;  // remote gateways with news of our nodes' claims
  Handle telling;
  Probes probes;
  FeedSide feed;
};

}  // namespace cw::gateway
