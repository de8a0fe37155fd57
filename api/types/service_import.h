// multicluster.x-k8s.io ServiceImport (v1beta1; v1alpha1 has the same schema).
#pragma once

#include <optional>

#include "api/types/service.h"

namespace cw::api {

struct ServiceImport {
  static constexpr Kind kKind = Kind::kServiceImport;
  ObjectMeta meta;
  struct Spec {
    std::string type;                // "ClusterSetIP", "Headless"
    std::vector<ServicePort> ports;  // target_port is not part of an import
    std::vector<std::string> ips;
    std::vector<std::string> ip_families;
    std::string session_affinity;
    std::optional<std::int32_t> session_affinity_timeout;
    std::string internal_traffic_policy;
    std::string traffic_distribution;
    friend bool operator==(const Spec&, const Spec&) = default;
  } spec;
  struct Status {
    std::vector<std::string> clusters;   // the exporting clusters, sorted
    std::vector<Condition> conditions;   // Ready
    std::string endpoint_slice_objects;  // "Present", "Absent"
    friend bool operator==(const Status&, const Status&) = default;
  } status;
  friend bool operator==(const ServiceImport&, const ServiceImport&) = default;
};

}  // namespace cw::api
