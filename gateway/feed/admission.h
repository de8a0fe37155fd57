// Judges the statements of remote clusters. A cluster may only speak about itself. It may claim
// prefixes that its ClusterPeer allows and that no other cluster has. It may name gateways that it
// was paired with; keys come from pairing only. A statement that breaks a rule is refused with its
// reason, and the rest keeps working. Pure.
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
#include "gateway/feed/refusal.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

// The claims of one cluster, and what the administrator allows it.
struct PrefixRequest {
  std::string cluster;
  WallTime paired{};                // creation time of the ClusterPeer
  std::vector<Prefix> allowed;      // ClusterPeer.spec.allowedCidrs
  std::vector<Prefix> claimed;      // in its last announcement; before one: held_before
  std::vector<Prefix> held_before;  // ClusterPeer.status.cidrs: accepted earlier
  std::vector<IpAddress> paired_endpoints = {};  // ClusterPeer.spec: no cluster may claim them
  std::vector<IpAddress> said_endpoints = {};    // announced: this cluster may not claim them
};

struct AcceptedRequest {
  std::vector<Prefix> cidrs;  // sorted, no duplicates
  std::vector<Refusal> refusals;
  friend bool operator==(const AcceptedRequest&, const AcceptedRequest&) = default;
};

// Judges the claims of all clusters together. The order of `claims` does not matter. If two claims
// overlap, the one that was accepted before stays. Otherwise the older ClusterPeer wins, then the
// lower id. `local`: the pods of this cluster. `own`: its other networks, which no peer may ever
// claim. No cluster may claim the endpoint of a gateway either, because the tunnel would lead into
// itself.
[[nodiscard]] std::map<std::string, AcceptedRequest> accepted_requests(
    std::span<const PrefixRequest> claims, const std::vector<Prefix>& local,
    std::span<const OwnPrefixes> own = {});

struct AcceptedGateways {
  std::vector<api::LearnedGateway> gateways;  // by ordinal
  std::vector<Refusal> refusals;
  friend bool operator==(const AcceptedGateways&, const AcceptedGateways&) = default;
};

// The gateways of `announcement` that `peer` lists with the same key. Endpoints that cannot belong
// to another host are refused by name.
[[nodiscard]] AcceptedGateways accepted_gateways(const Announcement& announcement,
                                                 const api::ClusterPeer::Spec& peer,
                                                 std::span<const OwnPrefixes> own = {});

// The nodes with those of their prefixes that are in `cidrs` (accepted for the cluster; sorted).
// The others were refused before. A node without any is left out.
[[nodiscard]] NodePrefixes accepted_nodes(const NodePrefixes& nodes,
                                          const std::vector<Prefix>& cidrs);

struct AcceptedExport {
  api::ExportRecord record;        // only with endpoints inside the accepted CIDRs
  std::optional<Refusal> refusal;  // names what was left out
};

// Keeps only endpoints whose every address is within `cidrs` (accepted for the record's cluster).
[[nodiscard]] AcceptedExport accepted_export(api::ExportRecord record, const PrefixSet& cidrs);

// The number of exports, and the first names.
struct ExportNames {
  std::size_t count = 0;
  std::vector<api::ObjectKey> first;  // at most 20
  friend bool operator==(const ExportNames&, const ExportNames&) = default;
};
[[nodiscard]] ExportNames export_names(const std::set<api::ObjectKey>& names);

// Exports of one cluster that spec.imports of its ClusterPeer leaves out.
struct LeftOutExports {
  ExportNames over_local;  // this cluster exports the same name
  ExportNames not_listed;  // counted up to kMaxExports
  friend bool operator==(const LeftOutExports&, const LeftOutExports&) = default;
};
// The condition ExportsImported of a ClusterPeer.
[[nodiscard]] api::Condition imports_condition(const LeftOutExports& left_out);

// The condition ClaimsAccepted of a ClusterPeer: True/Accepted, or False with the first refusal's
// reason and at most 20 messages. The caller sets time and generation.
[[nodiscard]] api::Condition claims_condition(std::span<const Refusal> refusals);

}  // namespace cw::gateway
