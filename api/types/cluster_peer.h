// causeway.dev/v1alpha1 ClusterPeer: a remote cluster, written by the administrator (or pair
// export); its status by the local gateway that holds the import Lease.
#pragma once

#include <optional>

#include "api/types/meta.h"
#include "base/prefix.h"

namespace cw::api {

struct PeerGateway {
  std::uint32_t ordinal = 0;
  std::string public_key;           // base64, 32 bytes
  std::vector<Endpoint> endpoints;  // candidates in order; empty: it must call us
  // What stands among them and is no address: a name, for example. Kept and never used.
  std::vector<std::string> unusable_endpoints = {};
  friend bool operator==(const PeerGateway&, const PeerGateway&) = default;
};

// A gateway as its cluster announced it, with what our own gateways see of it.
struct LearnedGateway {
  PeerGateway gateway;
  bool draining = false;
  std::vector<Prefix> own;    // pod prefixes of its own node: it prefers itself for them (homing)
  std::vector<Prefix> homed;  // prefixes the remote cluster says are homed at it
  friend bool operator==(const LearnedGateway&, const LearnedGateway&) = default;
};

// Exports of a remote cluster that this cluster imports (api/mcs/imports.h says how rules count).
struct ImportRule {
  std::string ns;             // "*": every namespace
  std::string service = "*";  // "*": every Service
  // Import it also where this cluster exports the name itself: both exports are one Service then.
  bool over_local = false;
  // The cluster's annotations causeway.dev/* decide who serves where this cluster exports nothing.
  bool follow_policy = false;
  friend bool operator==(const ImportRule&, const ImportRule&) = default;
};

struct ClusterPeer {
  static constexpr Kind kKind = Kind::kClusterPeer;
  struct Spec {
    std::string cluster_id;             // RFC 1123 label
    std::vector<PeerGateway> gateways;  // at least one, unless it is unpaired
    std::vector<Prefix> allowed_cidrs;  // all that the cluster may ever claim
    std::string preshared_key_secret;  // name of a Secret with key "presharedKey"; may be empty
    // Set by `causewayctl unpair`: gateways have no such peer, agents open its prefixes again.
    bool unpaired = false;
    // None: every name that this cluster does not export itself. Empty: nothing.
    std::optional<std::vector<ImportRule>> imports = {};
    // What stands in allowedCidrs and is no prefix. Kept and never used.
    std::vector<std::string> unusable_cidrs = {};
    friend bool operator==(const Spec&, const Spec&) = default;
  };
  struct Status {
    std::vector<Prefix> cidrs;             // claimed by the cluster and accepted
    std::vector<LearnedGateway> gateways;  // accepted announcements
    bool connected = false;                // at least one tunnel carries traffic
    std::vector<Condition> conditions;     // Accepted, Connected, ClaimsAccepted, ...
    friend bool operator==(const Status&, const Status&) = default;
  };
  ObjectMeta meta;
  Spec spec;
  Status status;
  friend bool operator==(const ClusterPeer&, const ClusterPeer&) = default;
};

// Those of status.cidrs that lie within spec.allowedCidrs. A gateway writes the status, the
// administrator writes the spec: the spec decides what is routed.
[[nodiscard]] std::vector<Prefix> trusted_cidrs(const ClusterPeer& peer);

}  // namespace cw::api
