// Computes the whole desired state of this node from what the store and the host say (Seen) and
// from what homing decided (Decision). Pure; docs/protocol/datapath.md is the specification.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/never_a_peers.h"
#include "homing/choose.h"
#include "prefixes/pod_network.h"
#include "routeagent/node/state.h"
#include "routeagent/node/vtep.h"
#include "tunnel/key.h"

namespace cw::routeagent {

using homing::Choice;
using homing::ChoiceKey;

// A node of this cluster.
struct NodeView {
  std::string name;
  IpAddress underlay;  // its first InternalIP
  std::vector<Prefix> pod_cidrs;
  // From its RouteAgent.spec; none: not published.
  std::optional<tunnel::Key> key = {};  // public
  std::optional<OverlaySide> overlay = {};
  // pod_cidrs are those of the cluster as a whole: addresses in them may be any node's, or a
  // host's (node/whole_cluster.h).
  bool whole = false;
};

struct LocalGateway {
  std::uint32_t ordinal = 0;
  std::string node;
  IpAddress node_ip;
  std::optional<tunnel::Key> key = {};  // public; none: its TunnelGateway object has none
};

// A remote cluster as this node sees it.
struct RemoteView {
  std::string id;
  std::vector<Prefix> prefixes;  // claimed by it and accepted
  std::set<tunnel::Key> gateways = {};
};

// Facts about this host, from its links, addresses and routes.
struct HostFacts {
  std::uint32_t underlay_mtu = 0;  // of the link that has the node's underlay IP; 0: no link has it
  // That link; empty for lo or a dummy device, by which no packet arrives.
  std::string underlay_link = {};
  bool shares_link = false;                   // it also has an address inside the own pod prefixes
  bool tunnel_up = false;                     // cw-wg is there and up
  std::uint32_t tunnel_mtu = 0;               // of cw-wg; 0: it is not there
  std::string tunnel_kind = {};               // of cw-wg: "wireguard", "tun"
  std::set<IpAddress> tunnel_addresses = {};  // on cw-wg
  std::uint32_t transit_rule = 0;             // priority of the gateway's rule; 0: there is none
  std::uint32_t vxlan_index = 0;              // of cw-vx; 0: it is not there
  std::uint32_t hop_index = 0;                // of cw-nd; 0: it is not there
  // An address of this host inside its own pod prefix: the source of the host's own traffic.
  std::map<Family, IpAddress> prefer_src;
  // Devices by which the pod network may bring packets to this host (node/whole_cluster.h), their
  // least MTU (0: there is none), and those of them with a strict reverse path check.
  std::vector<std::string> carriers = {};
  std::uint32_t carrier_mtu = 0;
  std::vector<std::string> strict = {};
  // Addresses where pods are, each with the device that leads to them: single addresses that the
  // host routes to a veth device, and the host's own address on a bridge with veth ports.
  std::vector<std::pair<IpAddress, std::string>> pods = {};
  // host_networks(): what the host reaches without us, and must still reach.
  std::vector<OwnPrefixes> networks = {};
  friend bool operator==(const HostFacts&, const HostFacts&) = default;
};
[[nodiscard]] HostFacts host_facts(std::span<const netlink::Link> links,
                                   std::span<const netlink::Address> addresses,
                                   const NodeView& self);
// The host's addresses, connected networks and default routers. No remote cluster may claim a part
// of them: packets to the host's own network would leave through the tunnel.
[[nodiscard]] std::vector<OwnPrefixes> host_networks(std::span<const netlink::Address> addresses,
                                                     const netlink::Connected& connected);

// What the store and the host say.
struct Seen {
  std::string cluster;  // this cluster's id
  NodeView self;
  std::vector<NodeView> others;
  std::vector<LocalGateway> gateways;
  std::vector<RemoteView> remotes;
  std::optional<OverlayKey> overlay;  // none: not known yet
  OverlaySide side = {};              // this node's
  // With `overlay: wireguard`, this node's public key: cw-vx runs inside cw-nd (node/hop.h).
  std::optional<tunnel::Key> hop = {};
  HostFacts host;
  std::vector<IpAddress> node_addresses = {};  // of all nodes, this one included
  bool forward_ours_only = false;              // node/forward_policy.h
  netlink::RulePriorities rules = {};
  bool stray_tunnel = false;  // moved_gateway() has lasted long enough
  prefixes::Source prefix_source = prefixes::Source::kNode;
  std::vector<std::string> prefix_strangers = {};  // as in prefixes::PodNetwork
  // This node's prefixes as each source has them, for messages.
  std::map<prefixes::Source, std::vector<Prefix>> own_by_source = {};
};

// What homing decided from Seen and from the probes.
struct Decision {
  bool decided = false;  // the probes have led to `choices`
  std::map<ChoiceKey, Choice> choices;
  // Measured path MTUs that are less than node_mtu().
  std::map<ChoiceKey, std::uint32_t> path_mtu = {};
  std::set<ChoiceKey> held = {};  // packets of these wait on this node (netlink/hold.h)
  friend bool operator==(const Decision&, const Decision&) = default;
};

// Whether a TunnelGateway object names this node, or the device cw-wg is here.
[[nodiscard]] bool is_gateway_node(const Seen& seen);
// Whether this node should exchange frames with the node at `underlay`: one of the two is a gateway
// node.
[[nodiscard]] bool talks_to(const Seen& seen, const IpAddress& underlay);

// Why this node exchanges no frames with `node`; none: it does.
[[nodiscard]] std::optional<LeftOut> left_out(const Seen& seen, const NodeView& node);
// The same for the node of a gateway: if it is left out, the gateway cannot be chosen.
[[nodiscard]] std::optional<LeftOut> left_out(const Seen& seen, const LocalGateway& gateway);

[[nodiscard]] NodeState desired_state(const Seen& seen, const Decision& decision);

// Calls `each` for the remote gateways that are probed: at most eight of each cluster, in each
// family in which the cluster has prefixes.
using EachRemoteGateway =
    std::function<void(const std::string& cluster, Family, const tunnel::Key&)>;
void each_remote_gateway(const Seen& seen, const EachRemoteGateway& each);

// A remote gateway that this node probes through a local one. `address` stands for the pair
// (tunnel/probe/forwarding_address.h). There is a target for each remote gateway and each local
// gateway on another node, if this host has an address for the answers.
struct ForwardingTarget {
  std::uint32_t gateway = 0;
  std::string cluster;
  Family family = Family::kV4;
  IpAddress address;
  IpAddress via;  // the gateway's, on cw-vx
  friend bool operator==(const ForwardingTarget&, const ForwardingTarget&) = default;
};
[[nodiscard]] std::vector<ForwardingTarget> forwarding_targets(const Seen& seen);

// Only the nexthop objects of desired_state(): a change of gateway replaces these.
[[nodiscard]] netlink::NexthopMap desired_nexthops(const Seen& seen, const Decision& decision);

// The MTU of cw-vx: the largest packet that a pod here can send to a remote cluster.
[[nodiscard]] std::uint32_t node_mtu(const Seen& seen);

// The nexthop object ids of every cluster and family. They follow from the cluster ids alone, so
// that a restarted agent finds its own objects again.
[[nodiscard]] std::map<ChoiceKey, std::uint32_t> nexthop_ids(std::span<const RemoteView> remotes);

// min(underlay - VXLAN overhead, tunnel MTU), at least 1280. So the pod's own node answers "too
// big", and no later hop must.
[[nodiscard]] std::uint32_t vxlan_mtu(std::uint32_t underlay_mtu, Family underlay,
                                      std::uint32_t tunnel_mtu);

}  // namespace cw::routeagent
