// The WireGuard device that follows from the roster and the placement (homing/place.h). Every
// remote gateway is a peer, whether it carries something or not, so that its tunnel is up before it
// is needed. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/peers/roster.h"
#include "homing/place.h"
#include "tunnel/driver.h"

namespace cw::gateway {

using homing::Placement;

struct DeviceInput {
  tunnel::Key private_key;
  std::uint16_t listen_port = 0;
  std::uint16_t keepalive_seconds = 0;
  const std::map<std::string, RemoteCluster>& clusters;
  const Placement& placement;
  const std::map<GatewayId, Endpoint>& endpoints;  // chosen; absent: leave it
};
[[nodiscard]] tunnel::DeviceSpec desired_device(const DeviceInput& input);

// The device is as wanted: the same peers with the same allowed IPs, keepalive, port and mark.
// Endpoints may differ: peers roam.
[[nodiscard]] bool matches(const tunnel::DeviceStatus& device, const tunnel::DeviceSpec& spec);

}  // namespace cw::gateway
