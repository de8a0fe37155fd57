// Pairing: this cluster as a ClusterPeer for other clusters, and the conditions for accepting one
// of theirs. Pure. Nothing here is secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/node.h"
#include "api/types/tunnel_gateway.h"
#include "base/never_a_peers.h"
#include "prefixes/pod_network.h"

namespace cw::cli {

// What a cluster's store says about it.
struct OwnCluster {
  std::string id;  // empty: there is no ClusterProperty yet
  std::vector<api::TunnelGateway> gateways;
  std::vector<api::Node> nodes;
  std::vector<api::ClusterPeer> peers;
  std::vector<Prefix> pods;            // prefixes that its nodes have now
  prefixes::Ranges ranges;             // that its pods may ever use
  std::vector<Prefix> services;        // ranges and addresses of its Services
  std::vector<IpAddress> api_servers;  // addresses of its API server
};

// The addresses of its nodes.
[[nodiscard]] OwnPrefixes own_nodes(const OwnCluster& own);

struct ExportChoice {
  std::vector<Prefix> cidrs;       // used in place of the cluster's ranges
  bool without_endpoints = false;  // this cluster cannot be called from outside; it calls the peer
};

// kNotFound: there is no cluster id, no gateway with a key, or no pod prefix yet. The text says
// what to do.
[[nodiscard]] Result<api::ClusterPeer> peer_of(const OwnCluster& own, const ExportChoice& choice);

// One line for the user: what the peer will allow, where that comes from, and what to do if it may
// be too little.
[[nodiscard]] std::string allowed_text(const OwnCluster& own, const ExportChoice& choice);

// The object as a YAML document, without status and without fields that a store sets.
[[nodiscard]] std::string peer_yaml(const api::ClusterPeer& peer);
// Parses one ClusterPeer in YAML or JSON, at most 1 MiB. `text` may be any bytes. kInvalid: the
// text names the field. `name` is what messages call the input.
[[nodiscard]] Result<api::ClusterPeer> parse_peer(std::string_view text, const std::string& name);

// kInvalid with one sentence if one of these holds:
//   the peer is this cluster itself
//   a key is invalid or used twice
//   an endpoint is not a unicast address of another host
//   a prefix can never be a peer's (base/never_a_peers.h), or overlaps another peer's
[[nodiscard]] Result<> acceptable(const api::ClusterPeer& peer, const OwnCluster& own);

// The names that `pair --share` opens to a peer.
struct Sharing {
  std::vector<api::ObjectKey> names;
  bool all = false;
};
// `before` (spec.imports until now) with a rule for each shared name. No rule is removed. If there
// were no rules, the default (all names that this cluster does not export itself) becomes a rule,
// too.
[[nodiscard]] std::optional<std::vector<api::ImportRule>> imports_with(
    std::optional<std::vector<api::ImportRule>> before, const Sharing& sharing);
// One line per rule, for the user.
[[nodiscard]] std::string imports_text(const api::ClusterPeer::Spec& peer);

// The gateways of `peer` whose keys `known` does not list. They are a change of trust. `known` is
// this cluster's ClusterPeer of the same cluster.
[[nodiscard]] std::vector<api::PeerGateway> new_keys(const api::ClusterPeer& known,
                                                     const api::ClusterPeer& peer);
// One line per gateway, "  gateway west/0: K7QXN-...", for two people to compare. If `known` has
// another key for a gateway, the line has both: "was K7QXN-..., is now 2FJ3A-...".
[[nodiscard]] std::string fingerprints_text(const api::ClusterPeer& peer,
                                            const api::ClusterPeer* known = nullptr);

}  // namespace cw::cli
