// What the Helm chart's hooks do, in order: before an upgrade `crds`; after an install or upgrade
// `stub`; before an uninstall `stop` (the daemons end, the stub and what they wrote go), then a
// cleanup on every node, then `cleaned` (waits for those). `idle` only waits, `check` is helm test.
#pragma once

#include <string>

namespace cw::cli {

struct Release {
  std::string name = "causeway";       // what the chart's objects are called after
  std::string ns = "causeway-system";  // where they are
  std::string dns_ns = "kube-system";  // the cluster DNS's ConfigMap
  std::string dns_config = "coredns";
  std::string dns_service;  // our DNS Service; empty: no stub
  std::string crds = "/usr/share/causeway/crds";
};

// `step` is one of the words above. Returns the exit code.
[[nodiscard]] int lifecycle(const std::string& step, const Release& release);

}  // namespace cw::cli
