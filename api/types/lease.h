// Kubernetes coordination.k8s.io/v1 Lease.
#pragma once

#include "api/types/meta.h"

namespace cw::api {

struct Lease {
  static constexpr Kind kKind = Kind::kLease;
  ObjectMeta meta;
  std::string holder;                 // spec.holderIdentity; empty: free
  std::int32_t duration_seconds = 0;  // spec.leaseDurationSeconds
  WallTime acquired{};                // spec.acquireTime (microseconds)
  WallTime renewed{};                 // spec.renewTime (microseconds)
  std::int32_t transitions = 0;       // spec.leaseTransitions
  friend bool operator==(const Lease&, const Lease&) = default;
};

}  // namespace cw::api
