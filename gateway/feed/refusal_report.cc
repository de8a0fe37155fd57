#include "gateway/feed/refusal_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

namespace cw::gateway {
namespace {

constexpr std::size_t kNamedSubjects = 8;  // of each kind, in one sentence

// Keeps the first ones, without duplicates.
template <typename T>
void keep(std::vector<T>& all, const T& one) {
  if (all.size() >= kMaxRefusedSubjects) return;
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

void keep_subject(RefusedGroup& group, const RefusalSubject& subject) {
  if (const auto* prefix = std::get_if<Prefix>(&subject)) keep(group.prefixes, *prefix);
  if (const auto* ordinal = std::get_if<std::uint32_t>(&subject)) keep(group.gateways, *ordinal);
  if (const auto* service = std::get_if<api::ObjectKey>(&subject)) keep(group.exports, *service);
}

// Why the remote cluster refuses something, in the words of the cluster that reads it.
std::string_view explanation(RefusalReason reason) {
  static constexpr std::array<std::string_view, 11> kTexts{
      "not within the allowedCidrs of its ClusterPeer",
      "its own pods have addresses there",
      "no peer may have such addresses, or its own networks have them",
      "the endpoint of a gateway is in there",
      "another peer of it has addresses there",
      "its ClusterPeer does not list this gateway with this key",
      "it knows this cluster by another id",
      "over a limit of the feed",
      "snapshots of the feed begin too often",
      "it cannot read the message",
      "for a reason that this version does not know"};
  return kTexts.at(static_cast<std::size_t>(reason));
}

// What helps. The administrators of both clusters may be different people.
std::string_view remedy(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kOutsideAllowed:
    case RefusalReason::kUnknownGateway:
      return "Run `causewayctl pair --refresh` for both clusters, or give it a new file of "
             "`causewayctl pair export`";
    case RefusalReason::kOverlapsLocal:
    case RefusalReason::kNeverAPeers:
    case RefusalReason::kHoldsEndpoint:
    case RefusalReason::kOverlapsCluster:
      return "Pods need addresses that no other cluster has. The condition ClaimsAccepted of its "
             "ClusterPeer there names the other side";
    default:
      return "The condition ClaimsAccepted of its ClusterPeer there has the details";
  }
}

template <typename T, typename Text>
void name(std::vector<std::string>& names, const std::vector<T>& all, const Text& text) {
  for (std::size_t n = 0; n < std::min(all.size(), kNamedSubjects); ++n) {
    names.push_back(text(all[n]));
  }
}

std::string refused_text(const RefusedGroup& group) {
  std::vector<std::string> names;
  name(names, group.prefixes, [](const Prefix& prefix) { return prefix.to_string(); });
  name(names, group.gateways, [](std::uint32_t n) { return fmt::format("gateway {}", n); });
  name(names, group.exports,
       [](const api::ObjectKey& service) { return "export " + service.to_string(); });
  const auto more = group.count > names.size() ? group.count - names.size() : 0;
  if (names.empty()) {
    names.push_back(fmt::format("{} statements", std::max(group.count, 1U)));
  } else if (more != 0) {
    names.push_back(fmt::format("{} more", more));
  }
  return fmt::format("{} ({})", fmt::join(names, ", "), explanation(group.reason));
}

}  // namespace

RefusalReport report_of(std::span<const Refusal> refusals) {
  std::map<RefusalReason, RefusedGroup> groups;
  for (const auto& refusal : refusals) {
    auto& group = groups[refusal.reason];
    group.reason = refusal.reason;
    ++group.count;
    keep_subject(group, refusal.subject);
  }
  RefusalReport report;
  report.groups.reserve(groups.size());
  for (auto& [reason, group] : groups) report.groups.push_back(std::move(group));
  return report;
}

api::Condition accepted_by_peer(const RefusalReport& report, const std::string& cluster) {
  if (report.groups.empty()) {
    return {"AcceptedByPeer",
            api::ConditionStatus::kTrue,
            "Accepted",
            fmt::format("cluster {} accepts all statements of this cluster", cluster),
            0,
            {}};
  }
  std::vector<std::string> refused;
  std::vector<std::string_view> remedies;
  refused.reserve(report.groups.size());
  for (const auto& group : report.groups) {
    refused.push_back(refused_text(group));
    const auto helps = remedy(group.reason);
    if (std::find(remedies.begin(), remedies.end(), helps) == remedies.end()) {
      remedies.push_back(helps);
    }
  }
  return {"AcceptedByPeer",
          api::ConditionStatus::kFalse,
          std::string(reason_name(report.groups.front().reason)),
          fmt::format("cluster {} refuses {}. {}", cluster, fmt::join(refused, "; "),
                      fmt::join(remedies, ". ")),
          0,
          {}};
}

}  // namespace cw::gateway
