// What several of the gateway's tests start from: names and small worlds.
#pragma once

#include <fmt/format.h>

#include <random>
#include <string>

#include "base/fake/sim_loop.h"
#include "gateway/peers/device.h"

namespace cw::gateway {

inline IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
inline Prefix net(std::string_view text) { return *Prefix::parse(text); }
inline Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

inline tunnel::Key private_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return tunnel::Key::generate_private(random);
}
inline tunnel::Key public_key(std::uint64_t seed) { return private_key(seed).public_key(); }

// A cluster with `gateways` gateways, `nodes` nodes of one prefix each; gateway n is on node n.
inline RemoteCluster remote_cluster(unsigned number, unsigned gateways, unsigned nodes) {
  RemoteCluster cluster;
  for (unsigned n = 0; n < nodes; ++n) {
    cluster.cidrs.push_back(net(fmt::format("10.{}.{}.0/24", number, n)));
  }
  for (unsigned n = 0; n < gateways; ++n) {
    RemoteGateway gateway;
    gateway.key = public_key(number * 100 + n);
    gateway.control_address = tunnel::control_address(gateway.key);
    gateway.own = {cluster.cidrs[n]};
    cluster.gateways[n] = gateway;
  }
  return cluster;
}

inline std::shared_ptr<api::ClusterPeer> peer(
    const std::string& cluster, const std::vector<std::uint64_t>& gateway_keys,
    std::chrono::seconds created = std::chrono::seconds(1)) {
  auto peer = std::make_shared<api::ClusterPeer>();
  peer->meta.key.name = cluster;
  peer->meta.created = WallTime(created);
  peer->spec.cluster_id = cluster;
  for (std::uint32_t n = 0; n < gateway_keys.size(); ++n) {
    peer->spec.gateways.push_back(
        {n, public_key(gateway_keys[n]).base64(), {at(fmt::format("192.0.2.{}:4500", n + 1))}});
  }
  return peer;
}

}  // namespace cw::gateway
