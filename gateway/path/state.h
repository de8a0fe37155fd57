// What a gateway wants of its node's kernel, beside the tunnel device itself
// (docs/protocol/datapath.md): the device up with its MTU and control address, routes to the remote
// gateways' control addresses, the transit table and its rules, sysctls, and the nft table. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/owner.h"

namespace cw::gateway {

inline constexpr std::uint32_t kTunnelMtu = 1420;  // 1500 - WireGuard over IPv6 (80)
inline constexpr std::uint32_t kMainTable = 254;   // RT_TABLE_MAIN

struct PathInput {
  std::string link;                     // the tunnel device
  std::uint16_t listen_port = 0;        // of the tunnel, UDP
  IpAddress control_address;            // ours
  IpAddress probe_address;              // ours, IPv4 (tunnel/probe/through_address.h)
  std::set<IpAddress> remote_controls;  // of all remote gateways: control and probe addresses
  // What nodes send to, and whose address in the tunnels it stands for.
  std::map<IpAddress, IpAddress> through;
  std::set<Prefix> remotes;   // accepted prefixes of remote clusters
  std::vector<Prefix> local;  // pod prefixes of this cluster
  // To the feed, that one remote gateway may open per second; four times as many at once.
  std::uint32_t feed_connections = 5;
  netlink::RulePriorities rules = {};
  friend bool operator==(const PathInput&, const PathInput&) = default;
};

using RouteKey = std::pair<std::uint32_t, Prefix>;  // table, destination

struct PathState {
  std::string link;
  std::uint32_t mtu = kTunnelMtu;
  std::set<netlink::Address> addresses;
  std::map<RouteKey, netlink::Route> routes;
  std::set<netlink::Rule> rules;
  std::map<std::string, std::string> sysctls;  // path under /proc/sys/net -> value
  std::string nft;                             // the whole table, as `nft -f` text
  friend bool operator==(const PathState&, const PathState&) = default;
};

[[nodiscard]] PathState desired_path(const PathInput& input);

}  // namespace cw::gateway
