// Kubernetes v1 Namespace.
#pragma once

#include "api/types/meta.h"

namespace cw::api {

struct Namespace {
  static constexpr Kind kKind = Kind::kNamespace;
  ObjectMeta meta;
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

}  // namespace cw::api
