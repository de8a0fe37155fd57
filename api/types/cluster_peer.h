// causeway.dev/v1alpha1 ClusterPeer: a remote cluster. An administrator writes it, by hand or with
// `causewayctl pair`. The local gateway with the import Lease writes its status.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/contact.h"
#include "base/prefix.h"

namespace cw::api {

struct PeerGateway {
  std::uint32_t ordinal = 0;
  std::string public_key;          // base64, 32 bytes
  std::vector<Contact> endpoints;  // in order; empty: that gateway must connect to us
  // Texts among the endpoints that are neither addresses nor names. Kept, but never used.
  std::vector<std::string> unusable_endpoints = {};
  friend bool operator==(const PeerGateway&, const PeerGateway&) = default;
};

// A remote gateway as its cluster announced it.
struct LearnedGateway {
  PeerGateway gateway;
  bool draining = false;
  std::string node;  // that it is on; it comes first for that node's prefixes (homing)
  friend bool operator==(const LearnedGateway&, const LearnedGateway&) = default;
};

// A node of a remote cluster with its accepted prefixes. An empty name: the cluster as a whole.
struct LearnedNode {
  std::string name;
  std::vector<Prefix> prefixes;  // sorted
  friend bool operator==(const LearnedNode&, const LearnedNode&) = default;
};

// A rule for exports of a remote cluster that this cluster imports (api/mcs/imports.h).
struct ImportRule {
  std::string ns;             // "*": every namespace
  std::string service = "*";  // "*": every Service
  // Import the name even if this cluster exports it too. Both exports then form one Service.
  bool over_local = false;
  // The cluster's annotations causeway.dev/* decide which clusters serve, for names that this
  // cluster does not export.
  bool follow_policy = false;
  friend bool operator==(const ImportRule&, const ImportRule&) = default;
};

struct ClusterPeer {
  static constexpr Kind kKind = Kind::kClusterPeer;
  struct Spec {
    std::string cluster_id;             // RFC 1123 label
    std::vector<PeerGateway> gateways;  // at least one, unless `unpaired`
    std::vector<Prefix> allowed_cidrs;  // all prefixes that the cluster may ever claim
    std::string preshared_key_secret;   // name of a Secret with key "presharedKey"; may be empty
    // Set by `causewayctl unpair`: gateways drop the peer, and route agents open its prefixes
    // again.
    bool unpaired = false;
    // No value: every name that this cluster does not export itself. Empty: nothing.
    std::optional<std::vector<ImportRule>> imports = {};
    // What stands in allowedCidrs and is no prefix. Kept and never used.
    std::vector<std::string> unusable_cidrs = {};
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  struct Status {
    std::vector<Prefix> cidrs;             // claimed by the cluster and accepted
    std::vector<LearnedNode> nodes;        // which of its nodes has them, by name
    std::vector<LearnedGateway> gateways;  // accepted announcements
    bool connected = false;                // at least one tunnel works
    std::vector<Condition> conditions;     // Accepted, Connected, ClaimsAccepted, ...
    friend bool operator==(const Status&, const Status&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  Status status;
  friend bool operator==(const ClusterPeer&, const ClusterPeer&) = default;
};

// The prefixes of status.cidrs within spec.allowedCidrs. A gateway writes the status, the
// administrator writes the spec. So the spec limits what is routed.
[[nodiscard]] std::vector<Prefix> trusted_cidrs(const ClusterPeer& peer);

}  // namespace cw::api
