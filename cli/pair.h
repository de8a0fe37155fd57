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

namespace cw::cli {

// What a cluster's own store tells of it.
struct OwnCluster {
  std::string id;  // empty: it has no ClusterProperty yet
  std::vector<api::Gateway> gateways;
  std::vector<api::Node> nodes;
  std::vector<api::ClusterPeer> peers;
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

// kInvalid with one sentence: it is this cluster itself, a key is no key or used twice, a prefix
// overlaps this cluster's own or another peer's.
[[nodiscard]] Result<> acceptable(const api::ClusterPeer& peer, const OwnCluster& own);

}  // namespace cw::cli
