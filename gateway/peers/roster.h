// Who the remote gateways are: ClusterPeers (what the administrator paired) joined with what the
// clusters say of themselves (as accepted). What is wrong with one ClusterPeer is named and leaves
// the others alone. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gateway/feed/remote_state.h"
#include "gateway/identity.h"
#include "homing/remote.h"
#include "tunnel/key.h"

namespace cw::gateway {

using homing::RemoteCluster;
using homing::RemoteGateway;

struct Trouble {
  std::string reason;   // OwnCluster, InvalidKey, OwnKey, DuplicateKey, ...
  std::string message;  // one sentence
  friend bool operator==(const Trouble&, const Trouble&) = default;
};

struct Paired {
  RemoteState::Peers peers;                    // those that count, one a cluster
  std::map<api::ObjectKey, Trouble> troubles;  // ClusterPeers that do not count at all
};

// Leaves out our own cluster, unpaired ones, ids that are no labels, and all but the oldest
// ClusterPeer of a cluster (equally old: the lower name).
[[nodiscard]] Paired paired_clusters(const std::string& own_cluster, const RemoteState::Peers& all);

struct Roster {
  std::map<std::string, RemoteCluster> clusters;  // by cluster id
  // ClusterPeers with gateways that are left out, or with endpoints that are.
  std::map<api::ObjectKey, Trouble> troubles;
};

struct RosterInput {
  const RemoteState::Peers& peers;  // of paired_clusters()
  const std::map<std::string, AcceptedCluster>& accepted;
  std::set<tunnel::Key> own_keys;                      // public keys of this cluster's gateways
  std::map<std::string, PresharedKey> preshared_keys;  // by the Secret's name
};

// A gateway is left out if its key cannot be read, is ours, or is that of a gateway before it
// (older ClusterPeers first); all of a ClusterPeer are if its pre-shared key was never there.
// A key that was kept goes on serving and is a trouble.
[[nodiscard]] Roster roster_of(const RosterInput& input);

}  // namespace cw::gateway
