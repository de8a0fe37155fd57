// Names, keys and small remote clusters for several tests.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "base/fake/sim_loop.h"
#include "homing/remote.h"

namespace cw::homing {

inline IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
inline Prefix net(std::string_view text) { return *Prefix::parse(text); }
inline Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

inline tunnel::Key private_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return tunnel::Key::generate_private(random);
}
inline tunnel::Key public_key(std::uint64_t seed) { return private_key(seed).public_key(); }

// What a claim of the node is about.
inline Share share(std::string_view node, Family family = Family::kV4) {
  return {owner_id(node), family};
}
inline std::string node_name(unsigned n) { return fmt::format("n{}", n); }

// A cluster with `gateways` gateways and `nodes` nodes of one prefix each. Gateway n is on node n.
inline RemoteCluster remote_cluster(unsigned number, unsigned gateways, unsigned nodes) {
  RemoteCluster cluster;
  for (unsigned n = 0; n < nodes; ++n) {
    cluster.cidrs.push_back(net(fmt::format("10.{}.{}.0/24", number, n)));
    cluster.nodes[node_name(n)] = {cluster.cidrs.back()};
  }
  for (unsigned n = 0; n < gateways; ++n) {
    RemoteGateway gateway;
    gateway.key = public_key(number * 100 + n);
    gateway.control_address = tunnel::control_address(gateway.key);
    gateway.node = node_name(n);
    cluster.gateways[n] = gateway;
  }
  return cluster;
}

}  // namespace cw::homing
