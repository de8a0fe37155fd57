// The steps of the Helm chart's hooks:
//   before an install or upgrade    keys     creates missing Secrets
//   before an upgrade               crds     applies the CRDs
//   after an install or upgrade     stub     points the cluster's DNS at clusterset.local's server
//   after an upgrade or rollback    derived  removes the Services and EndpointSlices that discovery
//     without vip: clusterip                 derived earlier
//   before an uninstall             stop     ends the daemons, removes the stub and their objects
//     then a cleanup on each node   cleaned  waits for the cleanup
//                                   idle     only waits, in the cleanup's pods
//   helm test                       check    looks clusterset.local up
#pragma once

#include <cstdint>
#include <string>

#include "api/names.h"

namespace cw::cli {

struct Release {
  std::string name = "causeway";                         // the prefix of the chart's objects' names
  std::string ns = std::string(api::kDefaultNamespace);  // where those objects are
  std::string dns_ns = "kube-system";                    // namespace of the cluster DNS's ConfigMap
  std::string dns_config = "coredns";
  std::string dns_service;     // Causeway's DNS Service; empty: no stub
  std::uint32_t gateways = 2;  // each ordinal below this has a Secret
  std::string crds = "/usr/share/causeway/crds";
};

// `step` is a name from the table above. Returns the exit code.
[[nodiscard]] int lifecycle(const std::string& step, const Release& release);

}  // namespace cw::cli
