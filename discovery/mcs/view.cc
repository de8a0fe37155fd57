#include "discovery/mcs/view.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::discovery {

using api::Condition;
using api::ConditionStatus;

namespace {

// Clusters that we are paired with and no gateway of ours reaches.
std::set<std::string> disconnected(const Items<api::ClusterPeer>& peers) {
  std::set<std::string> out;
  for (const auto& [key, peer] : peers) {
    if (!peer->status.connected) out.insert(peer->spec.cluster_id);
  }
  return out;
}

}  // namespace

View view_of(const ViewInputs& inputs, const View& before) {
  View view;
  std::map<api::ObjectKey, std::vector<RecordPtr>> records;
  std::map<api::ObjectKey, std::set<std::string>> stale;
  for (const auto& [key, entry] : inputs.local) {
    if (entry.record != nullptr) records[key].push_back(entry.record);
  }
  const auto away = disconnected(inputs.peers);
  for (const auto& [key, remote] : inputs.remote) {
    const auto& record = remote->spec;
    // Our own id from outside is a misconfiguration somewhere: our own word counts.
    if (record.cluster == inputs.cluster) continue;
    if (remote->status.stale && remote->status.stale_since != WallTime{}) {
      const auto drop_at = remote->status.stale_since + inputs.stale_drop;
      if (drop_at <= inputs.now) continue;
      view.next_drop = std::min(view.next_drop.value_or(drop_at), drop_at);
    }
    records[record.service].push_back(RecordPtr(remote, &remote->spec));
    if (remote->status.stale || away.count(record.cluster) != 0)
      stale[record.service].insert(record.cluster);
  }
  for (auto& [key, list] : records) {
    by_precedence(list);
    const auto had = before.services.find(key);
    auto merged = had != before.services.end() && had->second.merged->records == list
                      ? had->second.merged
                      : std::make_shared<const MergedService>(merge(std::move(list)));
    view.services.emplace(key, ClustersetService{std::move(merged), std::move(stale[key])});
  }
  return view;
}

std::vector<Prefix> pod_cidrs(const Items<api::Node>& nodes) {
  std::set<Prefix> out;
  for (const auto& [key, node] : nodes) out.insert(node->pod_cidrs.begin(), node->pod_cidrs.end());
  return {out.begin(), out.end()};
}

std::vector<Condition> export_conditions(const api::ServiceExport& object,
                                         const api::ExportBook::Entry& entry, const View& view) {
  const auto generation = object.meta.generation;
  auto valid = entry.valid;
  valid.observed_generation = generation;
  const bool exported = entry.record != nullptr;
  Condition ready{"Ready",
                  exported ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                  exported ? "Ready" : "Pending",
                  exported ? "other clusters may pull it" : "waits until the export is valid",
                  generation,
                  {}};
  Condition conflict{"Conflict",    ConditionStatus::kFalse,
                     "NoConflicts", "no other cluster disagrees",
                     generation,    {}};
  const auto found = view.services.find(object.meta.key);
  if (exported && found != view.services.end() && found->second.merged->conflict) {
    conflict.status = ConditionStatus::kTrue;
    conflict.reason = found->second.merged->conflict->reasons;
    conflict.message = found->second.merged->conflict->message;
  }
  return {std::move(valid), std::move(ready), std::move(conflict)};
}

}  // namespace cw::discovery
