// multicluster.x-k8s.io ServiceExport (v1beta1; v1alpha1 has the same schema).
#pragma once

#include "api/types/meta.h"

namespace cw::api {

struct ServiceExport {
  static constexpr Kind kKind = Kind::kServiceExport;
  ObjectMeta meta;
  struct Spec {
    std::map<std::string, std::string> exported_labels;
    std::map<std::string, std::string> exported_annotations;
    friend bool operator==(const Spec&, const Spec&) = default;
  } spec;
  struct Status {
    std::vector<Condition> conditions;  // Valid, Ready, Conflict
    friend bool operator==(const Status&, const Status&) = default;
  } status;
  friend bool operator==(const ServiceExport&, const ServiceExport&) = default;
};

}  // namespace cw::api
