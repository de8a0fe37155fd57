// Clusters that become peers of each other: for every two of them, what each side writes.
// Everything is checked against all of them before anything is written. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cli/refresh.h"

namespace cw::cli {

struct Member {
  std::string address;  // of its store, for messages
  OwnCluster own;
  Offer offer;
};

struct MeshChoice {
  bool refresh = false;  // all are peers already, and only brought up to date
  bool keep_endpoints = false;
  Sharing sharing;
};

// What the member `side` writes about the member `other`.
struct Pairing {
  std::size_t side = 0;
  std::size_t other = 0;
  api::ClusterPeer wanted;
  const api::ClusterPeer* known = nullptr;  // in the member's own.peers; null: a new peer
  // What changes, for the user. Empty: nothing, or the peer is new.
  std::vector<std::string> changes;
};

// Both sides of a pair follow each other, so that a failure leaves whole pairs. kInvalid: two
// members are one cluster, or one may not accept another: acceptable() of pair.h says why, with the
// ranges of all members. kNotFound: `refresh`, and two of them are no peers yet.
[[nodiscard]] Result<std::vector<Pairing>> mesh_of(const std::vector<Member>& members,
                                                   const MeshChoice& choice);

// Pairs (side, other) where `side` knows `other` with other keys than `other` has now. They are a
// change of trust.
[[nodiscard]] std::vector<std::pair<std::size_t, std::size_t>> changed_keys(
    const std::vector<Member>& members);

}  // namespace cw::cli
