// networking.k8s.io/v1 ServiceCIDR (Kubernetes 1.33): the ranges of Services' cluster IPs. Only
// causewayctl reads it.
#pragma once

#include <vector>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct ServiceCidr {
  static constexpr Kind kKind = Kind::kServiceCidr;
  ObjectMeta meta;
  std::vector<Prefix> cidrs;
  friend bool operator==(const ServiceCidr&, const ServiceCidr&) = default;
};

}  // namespace cw::api
