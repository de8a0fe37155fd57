// The node's own X25519 key: gateways know the node by it (RouteAgent.spec.publicKey). It is made
// once and kept on the host, so that it outlives the agent, its pod and its object in the store.
#pragma once

#include <string>

#include "base/random.h"
#include "tunnel/key.h"

namespace cw::routeagent {

// The file in `state_dir`: the private key in base64, mode 0600.
inline constexpr const char* kNodeKeyFile = "node.key";

// Reads the key; makes the folder (0700) and the key (fsync of file and folder) where there is
// none. Two agents that start at once end with the same key. kInvalid with the path and what is
// wrong: no regular file, others may read it, no key in it; other codes: the folder or the file
// cannot be read or written. A wrong file is never replaced: the administrator decides.
[[nodiscard]] Result<tunnel::Key> node_key(const std::string& state_dir, Random& random);

}  // namespace cw::routeagent
