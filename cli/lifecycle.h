// What the Helm chart's hooks do. Before an install or upgrade: `keys` makes the Secrets that are
// missing. Before an upgrade: `crds`. After an install or upgrade: `stub`. After an upgrade without
// vip: clusterip: `derived` removes the Services that an earlier release derived. Before an
// uninstall: `stop` ends the daemons and removes the stub and all that they wrote; then a cleanup
// runs on every node, and `cleaned` waits for it. `idle` only waits. `check` is helm test.
#pragma once

#include <cstdint>
#include <string>

namespace cw::cli {

struct Release {
  std::string name = "causeway";       // what the chart's objects are called after
  std::string ns = "causeway-system";  // where they are
  std::string dns_ns = "kube-system";  // the cluster DNS's ConfigMap
  std::string dns_config = "coredns";
  std::string dns_service;     // our DNS Service; empty: no stub
  std::uint32_t gateways = 2;  // ordinals that have a Secret each
  std::string crds = "/usr/share/causeway/crds";
};

// `step` is one of the words above. Returns the exit code.
[[nodiscard]] int lifecycle(const std::string& step, const Release& release);

}  // namespace cw::cli
