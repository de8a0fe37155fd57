// Settings of pod networks that keep pods' packets from remote clusters, or change their source. An
// object says them, so a node finds them without sending a packet:
//   Cilium           ConfigMap kube-system/cilium-config
//   OVN-Kubernetes   the Node annotation k8s.ovn.org/l3-gateway-config
// docs/operations/pod-networks.md has the reasons. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "api/types/cni_kinds.h"
#include "api/types/node.h"
#include "base/prefix.h"

namespace cw::prefixes {

inline constexpr const char* kCiliumConfigName = "cilium-config";
inline constexpr const char* kCiliumConfigNamespace = "kube-system";

// One sentence for each setting, with what to set instead. `remotes`: the prefixes of remote
// clusters; without any there is no obstacle.
//
// Cilium's BPF masquerade runs on the devices in `devices`; without that key, on every device that
// is up and has a route, and so on cw-vx and cw-wg. There it gives pods' packets the node's
// address, before and after our nft rules. `ipv4-native-routing-cidr` and its IPv6 sibling exempt a
// destination. With an ip-masq-agent another ConfigMap, which is not read, decides.
//
// With BPF host routing, packets pass the node by netfilter and our rules in it.
[[nodiscard]] std::vector<std::string> cilium_obstacles(const api::ConfigMapObject& config,
                                                        std::span<const Prefix> remotes);

// In shared gateway mode pods' packets leave by an OVN router and meet no route of the host.
[[nodiscard]] std::vector<std::string> ovn_obstacles(const api::Node& node);

}  // namespace cw::prefixes
