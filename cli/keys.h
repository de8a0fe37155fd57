// The Secrets that Causeway's daemons read in a Kubernetes cluster, and making them. Only the
// chart's hook and an administrator may create Secrets; no daemon may. An existing Secret is left
// as it is: its key is what other clusters know this cluster's gateways by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/types/gateway.h"
#include "api/types/secret.h"
#include "base/random.h"
#include "cli/cluster_api.h"

namespace cw::cli {

struct KeySecret {
  std::string name;
  std::string entry;
};

// One per gateway (ordinals 0 to `gateways` - 1), then the cluster's own.
[[nodiscard]] std::vector<KeySecret> key_secrets(std::uint32_t gateways);
// The Secret with a fresh key. The API server refuses any later change of it (immutable), and so
// kubelets need no watch on it.
[[nodiscard]] nlohmann::json fresh_secret(Random& random, const std::string& ns,
                                          const KeySecret& wanted);
// Why no fresh key may be made for a gateway whose Secret is missing: its Gateway object names a
// key, and peers know the gateway by it. None: it may. `gateway` null: there is no such object.
[[nodiscard]] Result<> may_be_made(const std::string& ns, const KeySecret& wanted,
                                   const api::Gateway* gateway);
// Makes those of key_secrets() that are missing and may be made. An existing Secret without its
// entry is an error.
[[nodiscard]] Result<> make_keys(ClusterApi& cluster, const std::string& ns,
                                 std::uint32_t gateways);

}  // namespace cw::cli
