// A remote cluster as a gateway of this cluster knows it: its prefixes, and its gateways with keys
// and endpoints (gateway/peers/roster.h says where that comes from).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "tunnel/key.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

struct RemoteGateway {
  tunnel::Key key;
  IpAddress control_address;
  std::optional<tunnel::Key> preshared_key;
  std::vector<Endpoint> candidates;  // paired ones, then announced ones; empty: it must call us
  std::string node;                  // that it is on, by its cluster's word; empty: not known
  friend bool operator==(const RemoteGateway&, const RemoteGateway&) = default;
};

struct RemoteCluster {
  std::vector<Prefix> cidrs;  // accepted
  // Who has them: by Node name, the cluster as a whole under the empty name. Each prefix once.
  std::map<std::string, std::vector<Prefix>> nodes;
  std::map<std::uint32_t, RemoteGateway> gateways;
  friend bool operator==(const RemoteCluster&, const RemoteCluster&) = default;
};

// Calls `visit(id, gateway)` for each gateway of the clusters, in order.
template <typename Visit>
void each_gateway(const std::map<std::string, RemoteCluster>& clusters, const Visit& visit) {
  for (const auto& [cluster, remote] : clusters) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      visit(tunnel::GatewayId{cluster, ordinal}, gateway);
    }
  }
}

}  // namespace cw::homing
