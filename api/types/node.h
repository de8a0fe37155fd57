// Kubernetes v1 Node: pod CIDRs and addresses.
#pragma once

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct Node {
  static constexpr Kind kKind = Kind::kNode;
  ObjectMeta meta;
  std::vector<Prefix> pod_cidrs;        // spec.podCIDRs
  std::vector<IpAddress> internal_ips;  // status.addresses of type InternalIP
  std::vector<IpAddress> external_ips;  // status.addresses of type ExternalIP
  bool ready = true;                    // status.conditions Ready; absent: true
  friend bool operator==(const Node&, const Node&) = default;
};

}  // namespace cw::api
