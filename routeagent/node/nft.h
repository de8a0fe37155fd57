// The nft table `causeway`: SNAT exemption, the host's own traffic, MSS clamping, the guard of
// cw-vx and notrack for transit (docs/protocol/datapath.md, "nft"). Each chain is a function of its
// own here or in overlay_nft.h. Pure: equal inputs give equal tables.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/prefix.h"
#include "netlink/nft_table.h"
#include "routeagent/node/overlay_nft.h"

namespace cw::routeagent {

struct NftInputs {
  std::vector<Prefix> local;   // pod prefixes of all nodes of this cluster
  std::vector<Prefix> own;     // the addresses of this node (owned.h)
  std::vector<Prefix> remote;  // of all remote clusters
  std::set<IpAddress> nodes;   // underlay addresses of the cluster's nodes
  std::uint32_t mtu = 0;       // of the path to remote pods
  // Remote prefixes with a smaller path MTU.
  std::map<Prefix, std::uint32_t> narrow = {};
  OverlayGuard overlay = {};
  // The source of the host's own packets to remote pods. In a family without one they are refused.
  std::map<Family, IpAddress> host = {};
  // `own` and `local` are the ranges of the cluster as a whole: nothing tells a pod of this node
  // by its address. `carriers`: the devices by which the pod network sends to other nodes.
  bool whole = false;
  std::vector<std::string> carriers = {};
};

[[nodiscard]] netlink::NftTable node_table(const NftInputs& inputs);

}  // namespace cw::routeagent
