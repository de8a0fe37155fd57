// The marks of our kernel objects: names and numbers. Every object that Causeway makes has one, so
// repair and removal never touch the state of other programs, and cleanup leaves nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace cw::netlink {

inline constexpr std::uint8_t kProtocol = 87;  // rtm_protocol of our routes, rules and nexthops

// Links. They are made and removed by name, and their kind is checked first.
inline constexpr std::string_view kVxlanLink = "cw-vx";   // node <-> gateways, inside one cluster
inline constexpr std::string_view kTunnelLink = "cw-wg";  // gateway <-> remote gateways
// With `overlay: wireguard`: node <-> gateways, and cw-vx runs inside it.
inline constexpr std::string_view kHopLink = "cw-nd";

inline constexpr std::uint16_t kVxlanPort = 4799;  // UDP, between nodes of one cluster
inline constexpr std::uint16_t kHopPort = 4794;    // UDP, WireGuard of cw-nd; configurable
// UDP: probes through a gateway, from a node to a remote gateway's address inside the tunnels.
inline constexpr std::uint16_t kForwardingPort = 4795;
// IPv4 probes through gateways use addresses of this range (tunnel/probe/forwarding_address.h).
inline constexpr std::string_view kThroughRange4 = "240.0.0.0/4";
inline constexpr std::uint16_t kNodeProbePort = 4797;  // UDP on fe80::/64 of cw-vx
// UDP: the source of nodes' probes. Not kNodeProbePort, because a gateway node has both sockets.
inline constexpr std::uint16_t kNodeAskPort = 4796;
inline constexpr std::uint16_t kTunnelProbePort = 4797;  // UDP on control addresses of cw-wg
inline constexpr std::uint16_t kFeedPort = 4798;         // TCP (gRPC) on control addresses of cw-wg

// Tables and the rules that lead to them, by rising priority (all before main, 32766):
//   kFromTunnel  iif cw-wg   -> local pod prefixes over cw-vx; all else unreachable
//   kTransit     iif cw-vx   -> remote prefixes through cw-wg
//   kToRemote    all packets -> remote prefixes, one nexthop object per remote cluster and family
//   kClosed      all packets -> closed prefixes: unreachable (a rule per prefix, no table)
// The tunnel's own outer packets carry kTunnelMark. Rule kBypass sends them past all of these, to
// the empty rule kLanding. Otherwise a remote cluster that claims a gateway's address would route
// the tunnel into itself.
//
// The priorities are smaller than those of CNIs' rules that match a pod's packets: 111 (Cilium on
// Amazon and Azure) and 512 to 1536 (the AWS VPC CNI). They are larger than 9, 10 and 20, which
// Cilium gives to packets with its own marks. Tables have numbers of their own: they say the same
// thing whichever priorities are configured.
inline constexpr std::uint32_t kFromTunnelTable = 7485;
inline constexpr std::uint32_t kTransitTable = 7486;
inline constexpr std::uint32_t kToRemoteTable = 7487;
inline constexpr std::uint32_t kMainTable = 254;  // RT_TABLE_MAIN, of the host
inline constexpr std::uint32_t kBypassPriority = 89;
inline constexpr std::uint32_t kFromTunnelPriority = 90;
inline constexpr std::uint32_t kTransitPriority = 91;
inline constexpr std::uint32_t kToRemotePriority = 92;
inline constexpr std::uint32_t kClosedPriority = 93;
inline constexpr std::uint32_t kLandingPriority = 94;

// The six priorities in use, one after the other. The configuration may move all (rulePriority).
struct RulePriorities {
  std::uint32_t bypass = kBypassPriority;
  [[nodiscard]] std::uint32_t from_tunnel() const { return bypass + 1; }
  [[nodiscard]] std::uint32_t transit() const { return bypass + 2; }
  [[nodiscard]] std::uint32_t to_remote() const { return bypass + 3; }
  [[nodiscard]] std::uint32_t closed() const { return bypass + 4; }
  [[nodiscard]] std::uint32_t landing() const { return bypass + 5; }
  friend bool operator==(const RulePriorities&, const RulePriorities&) = default;
};
inline constexpr std::uint32_t kMostRulePriority = 32'000;  // `main` is at 32766

// The firewall mark (SO_MARK) of the tunnel's UDP sockets. It shares no bit with the marks of
// kube-proxy, Cilium, Calico, Weave, Tailscale and the AWS CNI. A pod cannot set it: Linux clears
// the mark of a packet that leaves a network namespace.
inline constexpr std::uint32_t kTunnelMark = 0x1057;

// Our nexthop ids are kNexthopBase + n, n < 65536.
inline constexpr std::uint32_t kNexthopBase = 0x43570000;

// nftables tables (family inet). Each owner has its own, so no daemon needs another one's.
inline constexpr std::string_view kNodeNftTable = "causeway";             // route agent
inline constexpr std::string_view kForwardNftTable = "causeway-forward";  // route agent
inline constexpr std::string_view kGatewayNftTable = "causeway-gateway";  // gateway
// Route agent; it outlives the agent and its `cleanup` (docs/operations/fail-closed.md).
inline constexpr std::string_view kClosedNftTable = "causeway-closed";

}  // namespace cw::netlink
