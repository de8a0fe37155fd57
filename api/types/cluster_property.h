// about.k8s.io ClusterProperty (KEP-2149). Causeway uses two names: cluster.clusterset.k8s.io (this
// cluster's id) and clusterset.k8s.io.
#pragma once

#include "api/names.h"
#include "api/types/meta.h"

namespace cw::api {

struct ClusterProperty {
  static constexpr Kind kKind = Kind::kClusterProperty;
  ObjectMeta meta;
  std::string value;
  friend bool operator==(const ClusterProperty&, const ClusterProperty&) = default;
};

}  // namespace cw::api
