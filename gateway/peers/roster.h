// The remote gateways: ClusterPeers (what the administrator paired) joined with the accepted
// statements of the clusters themselves. A mistake in one ClusterPeer is reported and leaves the
// others alone. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/feed/remote_state.h"
#include "gateway/identity.h"
#include "gateway/peers/candidates.h"
#include "homing/remote.h"
#include "tunnel/key.h"

namespace cw::gateway {

using homing::each_gateway;
using homing::RemoteCluster;
using homing::RemoteGateway;

struct Trouble {
  std::string reason;   // OwnCluster, InvalidKey, OwnKey, DuplicateKey, ...
  std::string message;  // one sentence
  friend bool operator==(const Trouble&, const Trouble&) = default;
};

struct Paired {
  RemoteState::Peers peers;                    // those that count, one per cluster
  std::map<api::ObjectKey, Trouble> troubles;  // ClusterPeers that do not count at all
};

// Leaves out our own cluster, unpaired clusters, ids that are not DNS labels, and all but the
// oldest ClusterPeer of a cluster (of equal age: the lower name).
[[nodiscard]] Paired paired_clusters(const std::string& own_cluster, const RemoteState::Peers& all);

struct Roster {
  std::map<std::string, RemoteCluster> clusters;  // by cluster id
  // ClusterPeers of which a part is left out or not known, or whose pre-shared key was kept.
  std::map<api::ObjectKey, Trouble> troubles;
};

struct RosterInput {
  const RemoteState::Peers& peers;  // of paired_clusters()
  const std::map<std::string, AcceptedCluster>& accepted;
  std::set<tunnel::Key> own_keys;                      // public keys of this cluster's gateways
  std::map<std::string, PresharedKey> preshared_keys;  // by the Secret's name
  CandidateSources sources = {};
};

// A gateway is left out if its key cannot be read, is this cluster's, or belongs to a gateway
// before it (older ClusterPeers first), or if its ordinal is listed twice. All gateways of a
// ClusterPeer are left out if its pre-shared key was never readable. A kept pre-shared key stays in
// use, and is reported.
[[nodiscard]] Roster roster_of(const RosterInput& input);

}  // namespace cw::gateway
