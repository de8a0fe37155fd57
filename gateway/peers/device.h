// The WireGuard device that follows from the roster: who carries which remote prefix, and the whole
// DeviceSpec. Every remote gateway is a peer, whether it carries something or not, so that its
// tunnel is up before it is needed. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "api/homing/homing.h"
#include "gateway/peers/roster.h"
#include "tunnel/driver.h"

namespace cw::gateway {

// Remote prefix -> the remote gateway whose peer has it as an allowed IP. A map: each prefix has
// one owner.
using Placement = std::map<Prefix, GatewayId>;

// The homes of all remote prefixes. `usable`: may carry by our probes (HoldDown); where none of a
// cluster may, all count as usable, so that its prefixes stay somewhere. `draining`: by their own
// word.
[[nodiscard]] Placement placement_of(const std::map<std::string, RemoteCluster>& clusters,
                                     const std::set<GatewayId>& usable,
                                     const std::set<GatewayId>& draining);

struct DeviceInput {
  tunnel::Key private_key;
  std::uint16_t listen_port = 0;
  std::uint16_t keepalive_seconds = 0;
  const std::map<std::string, RemoteCluster>& clusters;
  const Placement& placement;
  const std::map<GatewayId, Endpoint>& endpoints;  // chosen; absent: leave it
};
[[nodiscard]] tunnel::DeviceSpec desired_device(const DeviceInput& input);

// What moves from one placement to the next: new owner -> prefixes that somebody else had.
[[nodiscard]] std::map<GatewayId, std::set<Prefix>> moves(const Placement& before,
                                                          const Placement& after);

// The device is as wanted: the same peers with the same allowed IPs, keepalive and port.
// Endpoints may differ: peers roam.
[[nodiscard]] bool matches(const tunnel::DeviceStatus& device, const tunnel::DeviceSpec& spec);

}  // namespace cw::gateway
