#include "gateway/feed/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <tuple>

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxMessages = 20;  // in one condition

// Prefixes that clusters already have. Prefixes of different clusters are disjoint, and of one
// cluster only the outermost are kept. So a prefix's neighbours in the order decide: O(log n) per
// question.
class Taken {
 public:
  using Entry = std::pair<const Prefix, std::string>;  // the prefix and its cluster

  void add(const std::string& cluster, const Prefix& prefix) {
    auto next = by_prefix_.upper_bound(prefix);
    if (next != by_prefix_.begin() && std::prev(next)->first.contains(prefix)) return;
    while (next != by_prefix_.end() && prefix.contains(next->first)) next = by_prefix_.erase(next);
    by_prefix_.emplace_hint(next, prefix, cluster);
  }
  // The prefix of another cluster that shares addresses with `prefix`. Null: there is none.
  [[nodiscard]] const Entry* holder(const std::string& asking, const Prefix& prefix) const {
    auto next = by_prefix_.upper_bound(prefix);
    if (next != by_prefix_.begin()) {
      const auto& before = *std::prev(next);
      if (before.first.contains(prefix)) return before.second == asking ? nullptr : &before;
    }
    for (; next != by_prefix_.end() && prefix.contains(next->first); ++next) {
      if (next->second != asking) return &*next;
    }
    return nullptr;
  }

 private:
  std::map<Prefix, std::string> by_prefix_;
};

// One cluster's claims while they are judged.
struct Candidate {
  const PrefixRequest* claim = nullptr;
  std::vector<Prefix> fresh;  // allowed and not local, sorted; not yet accepted
  AcceptedRequest result;
};

PrefixSet addresses(std::span<const IpAddress> all) {
  std::vector<Prefix> hosts;
  for (const auto& address : all) hosts.push_back(Prefix::host(address));
  return PrefixSet(hosts);
}

Candidate candidate_of(const PrefixRequest& claim, const PrefixSet& local, const PrefixSet& paired,
                       std::span<const OwnPrefixes> own) {
  Candidate candidate{&claim, {}, {}};
  const PrefixSet allowed(claim.allowed);
  const PrefixSet said = addresses(claim.said_endpoints);
  const auto endpoint_in = [&](const Prefix& prefix) {
    const auto known = paired.overlapping(prefix);
    return known ? known : said.overlapping(prefix);
  };
  for (const auto& prefix : std::set<Prefix>(claim.claimed.begin(), claim.claimed.end())) {
    const auto refuse = [&](RefusalReason reason, std::string_view why) {
      candidate.result.refusals.push_back(
          {reason, fmt::format("{} {}", prefix.to_string(), why), prefix});
    };
    if (!allowed.covering(prefix)) {
      refuse(RefusalReason::kOutsideAllowed, "is not within the allowed CIDRs");
    } else if (const auto ours = local.overlapping(prefix)) {
      refuse(RefusalReason::kOverlapsLocal,
             fmt::format("overlaps {} of this cluster", ours->to_string()));
    } else if (const auto why = never_a_peers(prefix, own)) {
      refuse(RefusalReason::kNeverAPeers, *why);
    } else if (const auto endpoint = endpoint_in(prefix)) {
      refuse(RefusalReason::kHoldsEndpoint,
             fmt::format("contains {}, the endpoint of a gateway: the tunnel would lead into "
                         "itself. Give the pods of that cluster prefixes without its nodes",
                         endpoint->address().to_string()));
    } else {
      candidate.fresh.push_back(prefix);
    }
  }
  return candidate;
}

// Accepts prefixes that no other cluster has, and refuses the rest. In the first pass (`held_only`)
// prefixes that were not held before are left for the second.
void accept(Candidate& candidate, Taken& taken, bool held_only) {
  const auto& cluster = candidate.claim->cluster;
  const std::set<Prefix> held(candidate.claim->held_before.begin(),
                              candidate.claim->held_before.end());
  std::vector<Prefix> later;
  for (const auto& prefix : candidate.fresh) {
    if (held_only && held.count(prefix) == 0) {
      later.push_back(prefix);
    } else if (const auto* holder = taken.holder(cluster, prefix)) {
      candidate.result.refusals.push_back(
          {RefusalReason::kOverlapsCluster,
           fmt::format("{} overlaps {} of cluster {}", prefix.to_string(),
                       holder->first.to_string(), holder->second),
           prefix});
    } else {
      taken.add(cluster, prefix);
      candidate.result.cidrs.push_back(prefix);
    }
  }
  candidate.fresh = std::move(later);
}

std::string first_names(const ExportNames& names) {
  std::string text;
  for (const auto& key : names.first) text += (text.empty() ? "" : ", ") + key.to_string();
  return names.count > names.first.size() ? text + ", ..." : text;
}

api::Condition condition(std::string_view type, bool holds, std::string_view reason,
                         std::string message) {
  const auto status = holds ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse;
  return {std::string(type), status, std::string(reason), std::move(message), 0, {}};
}

}  // namespace

std::string_view reason_name(RefusalReason reason) {
  static constexpr std::array<std::string_view, 11> kNames{
      "OutsideAllowed",  "OverlapsLocal",  "NeverAPeers",  "HoldsEndpoint",
      "OverlapsCluster", "UnknownGateway", "OtherCluster", "TooLarge",
      "TooOften",        "Invalid",        "Other"};
  return kNames.at(static_cast<std::size_t>(reason));
}

std::map<std::string, AcceptedRequest> accepted_requests(std::span<const PrefixRequest> claims,
                                                         const std::vector<Prefix>& local,
                                                         std::span<const OwnPrefixes> own) {
  const PrefixSet local_set(local);
  std::vector<IpAddress> called;
  for (const auto& claim : claims) {
    called.insert(called.end(), claim.paired_endpoints.begin(), claim.paired_endpoints.end());
  }
  const PrefixSet paired = addresses(called);
  std::vector<Candidate> candidates;
  candidates.reserve(claims.size());
  for (const auto& claim : claims) {
    candidates.push_back(candidate_of(claim, local_set, paired, own));
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.claim->paired, a.claim->cluster) <
           std::tie(b.claim->paired, b.claim->cluster);
  });
  Taken taken;
  for (auto& candidate : candidates) accept(candidate, taken, true);
  for (auto& candidate : candidates) accept(candidate, taken, false);
  std::map<std::string, AcceptedRequest> accepted;
  for (auto& candidate : candidates) {
    auto& result = candidate.result;
    std::sort(result.cidrs.begin(), result.cidrs.end());
    std::sort(result.refusals.begin(), result.refusals.end());
    accepted.emplace(candidate.claim->cluster, std::move(result));
  }
  return accepted;
}

AcceptedGateways accepted_gateways(const Announcement& announcement,
                                   const api::ClusterPeer::Spec& peer,
                                   std::span<const OwnPrefixes> own) {
  AcceptedGateways accepted;
  if (announcement.cluster != peer.cluster_id) {
    accepted.refusals.push_back({RefusalReason::kOtherCluster,
                                 fmt::format("cluster {} sent an announcement about cluster {}",
                                             peer.cluster_id, announcement.cluster)});
    return accepted;
  }
  for (const auto& gateway : announcement.gateways) {
    const auto known = std::find_if(
        peer.gateways.begin(), peer.gateways.end(),
        [&gateway](const api::PeerGateway& paired) { return paired.ordinal == gateway.ordinal; });
    if (known == peer.gateways.end() || known->public_key != gateway.public_key) {
      accepted.refusals.push_back(
          {RefusalReason::kUnknownGateway,
           fmt::format("gateway {} {}", gateway.ordinal,
                       known == peer.gateways.end() ? "is not in the ClusterPeer"
                                                    : "has another key than the ClusterPeer lists"),
           gateway.ordinal});
      continue;
    }
    std::vector<Contact> endpoints;
    for (const auto& endpoint : gateway.endpoints) {
      // The addresses of a name are judged when they are known (gateway/peers/candidates.h).
      const auto* known_at = endpoint.endpoint();
      if (const auto why =
              known_at == nullptr ? std::nullopt : never_an_endpoint(known_at->address, own)) {
        accepted.refusals.push_back({RefusalReason::kNeverAPeers,
                                     fmt::format("endpoint {} of gateway {} {}",
                                                 endpoint.to_string(), gateway.ordinal, *why),
                                     gateway.ordinal});
      } else {
        endpoints.push_back(endpoint);
      }
    }
    accepted.gateways.push_back({{gateway.ordinal, gateway.public_key, std::move(endpoints)},
                                 gateway.draining,
                                 gateway.node});
  }
  std::sort(accepted.gateways.begin(), accepted.gateways.end(),
            [](const auto& a, const auto& b) { return a.gateway.ordinal < b.gateway.ordinal; });
  std::sort(accepted.refusals.begin(), accepted.refusals.end());
  return accepted;
}

NodePrefixes accepted_nodes(const NodePrefixes& nodes, const std::vector<Prefix>& cidrs) {
  NodePrefixes accepted;
  for (const auto& [name, prefixes] : nodes) {
    std::vector<Prefix> good;
    std::copy_if(prefixes.begin(), prefixes.end(), std::back_inserter(good), [&](const Prefix& p) {
      return std::binary_search(cidrs.begin(), cidrs.end(), p);
    });
    if (!good.empty()) accepted.emplace_hint(accepted.end(), name, std::move(good));
  }
  return accepted;
}

AcceptedExport accepted_export(api::ExportRecord record, const PrefixSet& cidrs) {
  AcceptedExport accepted{std::move(record), std::nullopt};
  auto& endpoints = accepted.record.endpoints;
  std::size_t left_out = 0;
  std::optional<IpAddress> first;  // the lowest, whatever the order of endpoints
  std::erase_if(endpoints, [&](const api::ExportEndpoint& endpoint) {
    for (const auto& address : endpoint.addresses) {
      if (cidrs.contains(address)) continue;
      ++left_out;
      if (!first.has_value() || address < *first) first = address;
      return true;
    }
    return false;
  });
  if (left_out != 0) {
    accepted.refusal =
        Refusal{RefusalReason::kOutsideAllowed,
                fmt::format("{} endpoint(s) of export {} are outside the accepted CIDRs ({})",
                            left_out, accepted.record.service.to_string(), first->to_string()),
                accepted.record.service};
  }
  return accepted;
}

ExportNames export_names(const std::set<api::ObjectKey>& names) {
  const auto end =
      std::next(names.begin(), static_cast<std::ptrdiff_t>(std::min(names.size(), kMaxMessages)));
  return {names.size(), {names.begin(), end}};
}

api::Condition imports_condition(const LeftOutExports& left_out) {
  const auto& [over_local, not_listed] = left_out;
  std::vector<std::string> parts;
  if (over_local.count != 0) {
    parts.push_back(
        fmt::format("{} not used, because this cluster exports the same names and no "
                    "import of them has overLocal: {}",
                    over_local.count, first_names(over_local)));
  }
  if (not_listed.count != 0) {
    parts.push_back(fmt::format("{}{} not listed in spec.imports: {}", not_listed.count,
                                not_listed.count < kMaxExports ? "" : " or more",
                                first_names(not_listed)));
  }
  if (parts.empty()) {
    return condition("ExportsImported", true, "AllImported",
                     "all exports of the cluster are imported");
  }
  const bool as_listed = over_local.count == 0;
  return condition("ExportsImported", as_listed, as_listed ? "AsListed" : "KeptOut",
                   fmt::format("exports: {}", fmt::join(parts, "; ")));
}

api::Condition claims_condition(std::span<const Refusal> refusals) {
  if (refusals.empty()) {
    return condition("ClaimsAccepted", true, "Accepted",
                     "all statements of the cluster are accepted");
  }
  std::string message;
  for (const auto& refusal : refusals.first(std::min(refusals.size(), kMaxMessages))) {
    message += (message.empty() ? "" : "; ") + refusal.message;
  }
  if (refusals.size() > kMaxMessages) {
    message += fmt::format("; and {} more", refusals.size() - kMaxMessages);
  }
  const bool grew = std::any_of(refusals.begin(), refusals.end(), [](const Refusal& refusal) {
    return refusal.reason == RefusalReason::kUnknownGateway ||
           (refusal.reason == RefusalReason::kOutsideAllowed &&
            std::holds_alternative<Prefix>(refusal.subject));
  });
  if (grew) {
    message += ". If the cluster grew, bring the pairing up to date: `causewayctl pair --refresh`";
  }
  return condition("ClaimsAccepted", false, reason_name(refusals.front().reason),
                   std::move(message));
}

}  // namespace cw::gateway
