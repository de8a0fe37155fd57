// What this node believes of a ClusterPeer. Gateways write its status, an administrator writes its
// spec. The node takes nothing from the status that the spec does not allow, so that a stolen
// gateway token cannot move other traffic into the tunnels. Pure.
#pragma once

#include "api/types/cluster_peer.h"
#include "routeagent/node/desired.h"

namespace cw::routeagent {

// The prefixes of the status that lie inside one of the spec's allowedCidrs, and the keys of the
// spec's gateways.
[[nodiscard]] RemoteCluster remote_cluster(const api::ClusterPeer& peer);

}  // namespace cw::routeagent
