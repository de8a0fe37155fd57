// about.k8s.io ClusterProperty (KEP-2149). Causeway uses two names: cluster.clusterset.k8s.io (this
// cluster's id) and clusterset.k8s.io.
#pragma once

#include "api/types/meta.h"

namespace cw::api {

inline constexpr std::string_view kClusterIdProperty = "cluster.clusterset.k8s.io";
inline constexpr std::string_view kClusterSetProperty = "clusterset.k8s.io";

struct ClusterProperty {
  static constexpr Kind kKind = Kind::kClusterProperty;
  ObjectMeta meta;
  std::string value;
  friend bool operator==(const ClusterProperty&, const ClusterProperty&) = default;
};

}  // namespace cw::api
