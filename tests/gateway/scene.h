// Names and small worlds that several of the gateway's tests start from.
#pragma once

#include <fmt/format.h>

#include <string>

#include "base/fake/sim_loop.h"
#include "gateway/peers/device.h"
#include "tests/homing/scene.h"

namespace cw::gateway {

using homing::at;
using homing::ip;
using homing::net;
using homing::private_key;
using homing::public_key;
using homing::remote_cluster;

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
