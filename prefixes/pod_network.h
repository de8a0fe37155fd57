// Where the pods of this cluster are: the prefixes of each node, the ranges of the cluster as a
// whole, and the source that says so. Pod networks keep this in different objects; the first source
// that says something wins, for the whole cluster:
//   configured    the ConfigMap causeway-prefixes names it (settings.h)
//   calico        BlockAffinities that nodes hold
//   cilium        CiliumNodes with prefixes
//   ovn           the Node annotation k8s.ovn.org/node-subnets
//   kube-router   the Node annotation kube-router.io/pod-cidrs (or pod-cidr)
//   azure         NodeNetworkConfigs with prefixes
//   node          Node.spec.podCIDRs
//   cluster       nothing says which node has which pods: the ranges of the cluster as a whole
// Sources are never mixed: a controller manager may write podCIDRs that the pod network ignores.
// Only a node that causeway-prefixes names has its prefixes from there. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/cni_kinds.h"
#include "api/types/node.h"
#include "base/prefix.h"
#include "prefixes/borrowed.h"
#include "prefixes/settings.h"

namespace cw::prefixes {

// What the cluster says. A kind that the cluster does not have has no items.
struct Objects {
  Items<api::Node> nodes;
  Items<api::CalicoBlockV1> blocks_v1;
  Items<api::CalicoBlockV3> blocks_v3;
  Items<api::CalicoPoolV1> pools_v1;
  Items<api::CalicoPoolV3> pools_v3;
  Items<api::CiliumNode> cilium_nodes;
  Items<api::NodeNetworkConfig> azure;
  Items<api::OpenShiftNetwork> openshift;
  Items<api::ConfigMapObject> config_maps;  // those of range_config_maps()
  Borrowed borrowed;                        // Calico's; empty unless its rules allow them
  Settings settings;
};

// By Node name. Under the empty name: those of the cluster as a whole, which are no particular
// node's.
using NodePrefixes = std::map<std::string, std::vector<Prefix>>;

struct PodNetwork {
  Source source = Source::kNode;
  NodePrefixes nodes;                  // sorted; a node without prefixes is missing
  std::vector<std::string> strangers;  // nodes of the source that are no Nodes of the cluster
  // What the administrator should know: a sentence each. The prefixes hold in any case.
  std::vector<std::string> notes = {};

  [[nodiscard]] std::vector<Prefix> of(const std::string& node) const;
  [[nodiscard]] bool whole_cluster() const { return source == Source::kCluster; }
  // Where pods of the node may be: its own prefixes, or those of the cluster as a whole.
  [[nodiscard]] std::vector<Prefix> around(const std::string& node) const;
  [[nodiscard]] std::vector<Prefix> all() const;  // sorted, each once
  friend bool operator==(const PodNetwork&, const PodNetwork&) = default;
};

[[nodiscard]] PodNetwork pod_network(const Objects& objects);

// The prefixes of one node as each source has them, for the sources that have some. A route agent
// that meets a pod outside of the known prefixes names the source that would be right.
[[nodiscard]] std::map<Source, std::vector<Prefix>> sources_of(const std::string& node,
                                                               const Objects& objects);

// The object of each source, for messages: "BlockAffinities (Calico)", "Node.spec.podCIDRs".
[[nodiscard]] std::string_view object_of(Source source);

// The ranges from which pods of this cluster may ever get addresses, for peers to allow. They come
// from the settings, Calico's pools, Cilium's configuration, OpenShift's Network, flannel's or
// kubeadm's configuration, in this order. `from` says which.
struct Ranges {
  std::vector<Prefix> pods;  // empty: no object says them
  std::string from;
  std::string problem;  // an object that cannot be read; empty: none
  friend bool operator==(const Ranges&, const Ranges&) = default;
};
[[nodiscard]] Ranges ranges_of(const Objects& objects);
// The same for one source. For Source::kCluster the objects of every pod network count.
[[nodiscard]] Ranges ranges_for(Source source, const Objects& objects);

// The ConfigMaps that ranges_of() reads, beside causeway-prefixes.
[[nodiscard]] std::vector<api::ObjectKey> range_config_maps();

}  // namespace cw::prefixes
