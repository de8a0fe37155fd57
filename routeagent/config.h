// The route agent's configuration file (docs/configuration.md): parsed once, never changed.
#pragma once

#include <string>

#include "base/loop.h"
#include "base/prefix.h"
#include "daemon/config.h"
#include "netlink/owner.h"
#include "routeagent/node/overlay.h"
#include "tunnel/driver.h"

namespace cw::routeagent {

struct Config : DaemonConfig {
  std::string node;
  Duration probe_interval = std::chrono::milliseconds(150);
  std::uint32_t probe_lost = 3;
  Duration hold_down = std::chrono::minutes(2);
  Duration resync = std::chrono::seconds(60);
  std::string state_dir = "/var/lib/causeway";  // on the host; outlives the agent
  std::string reach_file;                       // base/reach.h; empty: none is written
  bool forward_ours_only = false;               // node/forward_policy.h
  OverlayMode overlay = OverlayMode::kVxlan;    // the same on all nodes of a cluster
  // Of cw-nd, with OverlayMode::kWireguard.
  std::uint16_t hop_port = netlink::kHopPort;
  tunnel::DriverConfig hop_tunnel;
  netlink::RulePriorities rules = {};
};

// kInvalid with "FILE:LINE: key: what" for the first problem.
[[nodiscard]] Result<Config> load_config(const std::string& path);
[[nodiscard]] Result<Config> parse_config(std::string_view text, const std::string& name);

}  // namespace cw::routeagent
