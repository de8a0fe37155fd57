// Pairing: this cluster as a ClusterPeer for others, and what must hold before a ClusterPeer of
// theirs is accepted here. Pure; nothing here is secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/gateway.h"
#include "api/types/node.h"
#include "base/never_a_peers.h"

namespace cw::cli {

// What a cluster's own store tells of it.
struct OwnCluster {
  std::string id;  // empty: it has no ClusterProperty yet
  std::vector<api::Gateway> gateways;
  std::vector<api::Node> nodes;
  std::vector<api::ClusterPeer> peers;
  std::vector<Prefix> services;        // ranges and addresses of its Services
  std::vector<IpAddress> api_servers;  // of its API server
};

struct ExportChoice {
  std::vector<Prefix> cidrs;       // instead of the nodes' pod prefixes
  bool without_endpoints = false;  // nobody can call us: we call
};

// kNotFound: no id, no gateway with a key, or no pod prefixes yet; the text says what to do.
[[nodiscard]] Result<api::ClusterPeer> peer_of(const OwnCluster& own, const ExportChoice& choice);

// The object as a YAML document, without status and without what a store sets.
[[nodiscard]] std::string peer_yaml(const api::ClusterPeer& peer);
// One ClusterPeer as YAML or JSON, of at most 1 MiB. Total over any bytes; kInvalid names the
// field.
[[nodiscard]] Result<api::ClusterPeer> parse_peer(std::string_view text, const std::string& name);

// kInvalid with one sentence: it is this cluster itself, a key is no key or used twice, an endpoint
// is no unicast address of another host, a prefix can never be a peer's (base/never_a_peers.h) or
// overlaps another peer's.
[[nodiscard]] Result<> acceptable(const api::ClusterPeer& peer, const OwnCluster& own);

// What this cluster imports from a peer, after names were opened to it with `pair --share`.
struct Sharing {
  std::vector<api::ObjectKey> names;
  bool all = false;
};
// `before`: spec.imports until now. Rules are added, none is taken away; without rules the default
// (all names that this cluster does not export itself) is written out beside the new ones.
[[nodiscard]] std::optional<std::vector<api::ImportRule>> imports_with(
    std::optional<std::vector<api::ImportRule>> before, const Sharing& sharing);
// One line a rule, for people.
[[nodiscard]] std::string imports_text(const api::ClusterPeer::Spec& peer);

// The gateways of `peer` whose keys `known` does not list: a change of trust. `known` is the
// ClusterPeer of the same cluster that this cluster has already.
[[nodiscard]] std::vector<api::PeerGateway> new_keys(const api::ClusterPeer& known,
                                                     const api::ClusterPeer& peer);
// One line a gateway, "  gateway west/0: K7QXN-...", for two people to compare. With `known`, a
// gateway whose key is another one than there has both: "was K7QXN-..., is now 2FJ3A-...".
[[nodiscard]] std::string fingerprints_text(const api::ClusterPeer& peer,
                                            const api::ClusterPeer* known = nullptr);

}  // namespace cw::cli
