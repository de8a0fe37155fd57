// The state that a gateway wants in its node's kernel, besides the tunnel device itself
// (docs/protocol/datapath.md). It is the device up with its MTU and addresses, routes to the remote
// gateways' control and probe addresses, the transit table and its rules, sysctls, and the nft
// table. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "netlink/owner.h"
#include "netlink/state.h"

namespace cw::gateway {

struct PathInput {
  std::uint16_t listen_port = 0;        // of the tunnel, UDP
  IpAddress control_address;            // ours
  IpAddress probe_address;              // ours, IPv4 (tunnel/probe/forwarding_address.h)
  std::set<IpAddress> remote_controls;  // control and IPv4 probe addresses of all remote gateways
  // The address that nodes probe, and the remote gateway's probe address that it stands for.
  std::map<IpAddress, IpAddress> through;
  std::set<Prefix> remotes;   // accepted prefixes of remote clusters
  std::vector<Prefix> local;  // pod prefixes of this cluster
  // New connections to the feed per second from one remote gateway; four times as many at once.
  std::uint32_t feed_connections = 5;
  netlink::RulePriorities rules = {};
  friend bool operator==(const PathInput&, const PathInput&) = default;
};

// The state of the owner netlink::gateway_owner().
[[nodiscard]] netlink::State desired_path(const PathInput& input);

}  // namespace cw::gateway
