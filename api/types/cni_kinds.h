// Objects in which pod networks keep the prefixes of nodes. Other programs write them, and Causeway
// only reads them. What it does not read is not written back. Each kind may be absent from a
// cluster. Kubernetes' ConfigMap is here too, because several of these programs keep their ranges
// in one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

// Kubernetes v1 ConfigMap. Named so because cw::ConfigMap reads our own configuration files.
struct ConfigMapObject {
  static constexpr Kind kKind = Kind::kConfigMap;
  ObjectMeta meta;
  std::map<std::string, std::string> data;
  friend bool operator==(const ConfigMapObject&, const ConfigMapObject&) = default;
};

// Calico: a block of addresses that one node has taken. The same object is served in one of two API
// groups: crd.projectcalico.org/v1, where `deleted` is a string, and projectcalico.org/v3, where it
// is a boolean.
struct CalicoBlock {
  ObjectMeta meta;
  Prefix cidr;
  std::string node;   // a name that Calico uses; by default the Node's
  std::string state;  // "confirmed", "pending", "pendingDeletion"
  std::string type;   // "host" or empty; "virtual": addresses of Services, not of pods
  bool deleted = false;
  friend bool operator==(const CalicoBlock&, const CalicoBlock&) = default;
};
struct CalicoBlockV1 : CalicoBlock {
  static constexpr Kind kKind = Kind::kCalicoBlockV1;
};
struct CalicoBlockV3 : CalicoBlock {
  static constexpr Kind kKind = Kind::kCalicoBlockV3;
};

// Calico: a range from which nodes take blocks. Two API groups, as above.
struct CalicoPool {
  ObjectMeta meta;
  Prefix cidr;
  bool disabled = false;
  std::vector<std::string> allowed_uses;  // "Workload", "Tunnel", "LoadBalancer"; empty: not said
  friend bool operator==(const CalicoPool&, const CalicoPool&) = default;
};
struct CalicoPoolV1 : CalicoPool {
  static constexpr Kind kKind = Kind::kCalicoPoolV1;
};
struct CalicoPoolV3 : CalicoPool {
  static constexpr Kind kKind = Kind::kCalicoPoolV3;
};

// Calico: the addresses of one block that pods have. Only what says that a node has addresses of
// another node's block is kept: such an address is borrowed. Two API groups, as above.
struct CalicoIpamBlock {
  struct Borrowed {
    IpAddress address;
    std::string node;  // that has it
    friend bool operator==(const Borrowed&, const Borrowed&) = default;
  };
  ObjectMeta meta;
  Prefix cidr;
  std::string host;  // the node to which the block belongs; empty: to none
  std::vector<Borrowed> borrowed;
  friend bool operator==(const CalicoIpamBlock&, const CalicoIpamBlock&) = default;
};
struct CalicoIpamBlockV1 : CalicoIpamBlock {
  static constexpr Kind kKind = Kind::kCalicoIpamBlockV1;
};
struct CalicoIpamBlockV3 : CalicoIpamBlock {
  static constexpr Kind kKind = Kind::kCalicoIpamBlockV3;
};

// Calico: the one object "default" with the rules of its IPAM. IPAMConfig in crd.projectcalico.org,
// IPAMConfiguration in projectcalico.org.
struct CalicoIpamConfig {
  ObjectMeta meta;
  bool strict_affinity = false;  // no node takes an address of another node's block
  friend bool operator==(const CalicoIpamConfig&, const CalicoIpamConfig&) = default;
};
struct CalicoIpamConfigV1 : CalicoIpamConfig {
  static constexpr Kind kKind = Kind::kCalicoIpamConfigV1;
};
struct CalicoIpamConfigV3 : CalicoIpamConfig {
  static constexpr Kind kKind = Kind::kCalicoIpamConfigV3;
};

// cilium.io/v2 CiliumNode, named like its Node.
struct CiliumNode {
  static constexpr Kind kKind = Kind::kCiliumNode;
  ObjectMeta meta;
  std::vector<Prefix> pod_cidrs;  // spec.ipam.podCIDRs: cluster-pool and kubernetes IPAM
  std::vector<Prefix> pools;      // spec.ipam.pools.allocated[].cidrs: multi-pool IPAM
  bool single_addresses = false;  // spec.ipam.pool has some: ENI, Azure and delegated IPAM
  friend bool operator==(const CiliumNode&, const CiliumNode&) = default;
};

// acn.azure.com/v1alpha NodeNetworkConfig, in kube-system, named like its Node. Containers of the
// types overlay and vnetblock have prefixes; others have single addresses.
struct NodeNetworkConfig {
  static constexpr Kind kKind = Kind::kNodeNetworkConfig;
  ObjectMeta meta;
  std::vector<Prefix> prefixes;
  bool single_addresses = false;  // it has single addresses: node subnet and dynamic IPAM
  friend bool operator==(const NodeNetworkConfig&, const NodeNetworkConfig&) = default;
};

// config.openshift.io/v1 Network "cluster".
struct OpenShiftNetwork {
  static constexpr Kind kKind = Kind::kOpenShiftNetwork;
  ObjectMeta meta;
  std::vector<Prefix> pods;      // status.clusterNetwork[].cidr
  std::vector<Prefix> services;  // status.serviceNetwork
  friend bool operator==(const OpenShiftNetwork&, const OpenShiftNetwork&) = default;
};

}  // namespace cw::api
