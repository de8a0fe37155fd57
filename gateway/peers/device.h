// The WireGuard device that follows from the roster and the placement (homing/place.h). Every
// remote gateway is a peer even if it carries nothing, so that its tunnel is up before it is
// needed. Pure.
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
  const std::map<GatewayId, Endpoint>& endpoints;  // the chosen ones; absent: left as it is
};
[[nodiscard]] tunnel::DeviceSpec desired_device(const DeviceInput& input);

// True if the device has the wanted key, port and mark, and the same peers with the same allowed
// IPs and keepalive. Of a pre-shared key only its presence counts. Endpoints may differ: peers
// roam.
[[nodiscard]] bool matches(const tunnel::DeviceStatus& device, const tunnel::DeviceSpec& spec);

}  // namespace cw::gateway
