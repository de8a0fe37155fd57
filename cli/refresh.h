// The ClusterPeer that one side writes about another cluster: what that cluster offers, together
// with what this side has set by hand. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/pair.h"

namespace cw::cli {

// What a cluster says about itself now.
struct Offer {
  api::ClusterPeer peer;
  // allowedCidrs are all prefixes that its pods may ever get. False: those that its nodes have now.
  bool all_ranges = true;
};
[[nodiscard]] Result<Offer> offer_of(const OwnCluster& own, const ExportChoice& choice);

// This side's ClusterPeer of that cluster. Null: it is not a peer, or the pairing has ended.
[[nodiscard]] const api::ClusterPeer* known_peer(const OwnCluster& own, const std::string& cluster);

// The offer with what this side's ClusterPeer has by hand: its name, labels, annotations, imports
// (and those of `sharing`), and the name of the pre-shared key's Secret, unless the offer has one.
[[nodiscard]] api::ClusterPeer accepted_peer(const OwnCluster& own, const api::ClusterPeer& offer,
                                             const Sharing& sharing);

// The same for a cluster whose store was read. More of a known ClusterPeer stays:
//   * A gateway without endpoints stays so: this side was told not to call it. If no gateway has
//   any,
//     a new one gets none either.
//   * With `keep_endpoints`, the endpoints of known gateways stay, because they were written by
//   hand.
//   * allowedCidrs that go beyond what the nodes have now, if the cluster's ranges are unknown.
// An endpoint that this cluster can never call (base/never_a_peers.h) is left out then.
[[nodiscard]] api::ClusterPeer refreshed_peer(const OwnCluster& own, const Offer& offer,
                                              const Sharing& sharing, bool keep_endpoints);

// One line for each difference of two specs of one cluster, for the user: prefixes, gateways, keys
// as fingerprints, endpoints, imports.
[[nodiscard]] std::vector<std::string> changes_of(const api::ClusterPeer::Spec& before,
                                                  const api::ClusterPeer::Spec& after);

}  // namespace cw::cli
