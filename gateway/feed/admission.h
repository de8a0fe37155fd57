// What we believe of what other clusters say. A cluster may only speak about itself, claim prefixes
// that its ClusterPeer allows and that nobody else has, and name gateways that it was paired with
// (keys come from pairing only). What breaks a rule is refused by name, the rest keeps working.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "api/types/cluster_peer.h"
#include "base/never_a_peers.h"
#include "base/prefix_set.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

enum class RefusalReason {
  kOutsideAllowed,   // not within the ClusterPeer's allowedCIDRs
  kOverlapsLocal,    // shares addresses with this cluster's own pods
  kNeverAPeers,      // base/never_a_peers.h: special addresses, other networks of this cluster
  kHoldsEndpoint,    // contains the address of a gateway that tunnels go to
  kOverlapsCluster,  // shares addresses with what another cluster already has
  kUnknownGateway,   // ordinal or key that the ClusterPeer does not list
  kOtherCluster,     // speaks about a cluster that the sender is not
  kTooLarge,         // over a limit of statement.h
  kTooOften,         // over a budget of stream.h; the feed pauses
  kInvalid,          // cannot be read
};
[[nodiscard]] std::string_view reason_name(RefusalReason reason);  // "OutsideAllowed", ...

struct Refusal {
  RefusalReason reason{};
  std::string message;  // one sentence that names the prefix, gateway or Service
  friend auto operator<=>(const Refusal&, const Refusal&) = default;
};

// What one cluster claims, and what the administrator lets it.
struct Claim {
  std::string cluster;
  WallTime paired{};                             // ClusterPeer's creation time
  std::vector<Prefix> allowed;                   // ClusterPeer.spec.allowedCIDRs
  std::vector<Prefix> claimed;                   // by its last announcement, else what it holds
  std::vector<Prefix> held_before;               // ClusterPeer.status.cidrs: accepted earlier
  std::vector<IpAddress> paired_endpoints = {};  // ClusterPeer.spec: no cluster may claim them
  std::vector<IpAddress> said_endpoints = {};    // announced: the cluster itself may not claim them
};

struct AcceptedClaim {
  std::vector<Prefix> cidrs;  // sorted, no duplicates
  std::vector<Refusal> refusals;
  friend bool operator==(const AcceptedClaim&, const AcceptedClaim&) = default;
};

// Judges all clusters' claims together; the order of `claims` does not matter. Where two overlap,
// what was accepted before stays; else the ClusterPeer that is older wins, then the lower id.
// `local`: the pods of this cluster; `own`: its other networks, which no peer may ever claim. No
// cluster may claim the endpoint of a gateway either: the tunnel would lead into itself.
[[nodiscard]] std::map<std::string, AcceptedClaim> accepted_claims(
    std::span<const Claim> claims, const std::vector<Prefix>& local,
    std::span<const OwnPrefixes> own = {});

struct AcceptedGateways {
  std::vector<api::LearnedGateway> gateways;  // by ordinal; own and homed within accepted CIDRs
  std::vector<Refusal> refusals;
  friend bool operator==(const AcceptedGateways&, const AcceptedGateways&) = default;
};

// The gateways of `announcement` that `peer` lists with the same key. Prefixes outside `cidrs`
// (accepted for the cluster) are left out without a message: the CIDR was refused above. Endpoints
// that can be no other host's are left out by name.
[[nodiscard]] AcceptedGateways accepted_gateways(const Announcement& announcement,
                                                 const api::ClusterPeer::Spec& peer,
                                                 const PrefixSet& cidrs,
                                                 std::span<const OwnPrefixes> own = {});

struct AcceptedExport {
  api::ExportRecord record;        // without the endpoints that are outside
  std::optional<Refusal> refusal;  // what was left out
};

// Only endpoints whose every address is within `cidrs` (accepted for the record's cluster).
[[nodiscard]] AcceptedExport accepted_export(api::ExportRecord record, const PrefixSet& cidrs);

// Names of exports: how many, and the first ones.
struct ExportNames {
  std::size_t count = 0;
  std::vector<api::ObjectKey> first;  // at most 20
  friend bool operator==(const ExportNames&, const ExportNames&) = default;
};
[[nodiscard]] ExportNames export_names(const std::set<api::ObjectKey>& names);

// Exports of one cluster that spec.imports of its ClusterPeer leaves out.
struct LeftOutExports {
  ExportNames over_local;  // this cluster exports the name itself
  ExportNames not_listed;  // counted up to kMaxExports
  friend bool operator==(const LeftOutExports&, const LeftOutExports&) = default;
};
// The condition ExportsImported of a ClusterPeer.
[[nodiscard]] api::Condition imports_condition(const LeftOutExports& left_out);

// The condition ClaimsAccepted of a ClusterPeer: True/Accepted, or False with the first refusal's
// reason and at most 20 messages. Time and generation are the caller's.
[[nodiscard]] api::Condition claims_condition(std::span<const Refusal> refusals);

}  // namespace cw::gateway
