// Creates the Secrets that Causeway's daemons read in a Kubernetes cluster. Only the chart's hook
// and an administrator may create Secrets, the daemons may not. An existing Secret is never
// changed, because other clusters know this cluster's gateways by its key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/types/secret.h"
#include "api/types/tunnel_gateway.h"
#include "base/random.h"
#include "cli/cluster_api.h"

namespace cw::cli {

struct KeySecret {
  std::string name;
  std::string entry;
};

// One Secret per gateway (ordinals 0 to `gateways` - 1), then the cluster's own.
[[nodiscard]] std::vector<KeySecret> key_secrets(std::uint32_t gateways);
// The Secret with a new key. It is immutable: the API server refuses changes, and kubelets need not
// watch it.
[[nodiscard]] nlohmann::json fresh_secret(Random& random, const std::string& ns,
                                          const KeySecret& wanted);
// Whether a new key may be created for a gateway whose Secret is missing. kExists: its
// TunnelGateway object names a key, by which peers know the gateway. `gateway` null: there is no
// such object.
[[nodiscard]] Result<> may_be_made(const std::string& ns, const KeySecret& wanted,
                                   const api::TunnelGateway* gateway);
// Creates the missing Secrets of key_secrets() that may be created. kInvalid: an existing Secret
// lacks its entry.
[[nodiscard]] Result<> make_keys(ClusterApi& cluster, const std::string& ns,
                                 std::uint32_t gateways);

}  // namespace cw::cli
