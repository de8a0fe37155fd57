#include "discovery/mcs/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace cw::discovery {

using api::Condition;
using api::ConditionStatus;

std::set<std::string> disconnected(const Items<api::ClusterPeer>& peers) {
  std::set<std::string> out;
  for (const auto& [key, peer] : peers) {
    if (!peer->status.connected) out.insert(peer->spec.cluster_id);
  }
  return out;
}

void ViewBook::set_cluster(const std::string& cluster) {
  if (cluster == cluster_) return;
  cluster_ = cluster;
  for (const auto& [service, sources] : sources_) dirty_.insert(service);
}

void ViewBook::local(const api::ObjectKey& service, RecordPtr record) {
  sources_[service].local = std::move(record);
  dirty_.insert(service);
}

std::optional<WallTime> ViewBook::drop_at(const api::RemoteExport& object) const {
  if (!object.status.stale || object.status.stale_since == WallTime{}) return std::nullopt;
  return object.status.stale_since + stale_drop_;
}

void ViewBook::forget(const api::ObjectKey& key) {
  const auto where = where_.find(key);
  if (where == where_.end()) return;
  auto& remote = sources_[where->second].remote;
  const auto known = remote.find(key);
  if (const auto at = drop_at(*known->second)) drops_.erase({*at, key});
  remote.erase(known);
  dirty_.insert(where->second);
  where_.erase(where);
}

void ViewBook::remote(const api::ObjectKey& key, std::shared_ptr<const api::RemoteExport> object) {
  forget(key);
  if (object == nullptr) return;
  const auto& service = object->spec.service;
  where_.emplace(key, service);
  dirty_.insert(service);
  if (const auto at = drop_at(*object)) drops_.emplace(*at, key);
  sources_[service].remote.emplace(key, std::move(object));
}

void ViewBook::set_away(std::set<std::string> clusters) {
  if (clusters == away_) return;
  for (const auto& [service, sources] : sources_) {
    for (const auto& [key, remote] : sources.remote) {
      const auto& cluster = remote->spec.cluster;
      if (clusters.count(cluster) != away_.count(cluster)) dirty_.insert(service);
    }
  }
  away_ = std::move(clusters);
}

std::set<std::string> ViewBook::dropped_of(const Sources& sources, WallTime now) const {
  std::set<std::string> dropped;
  for (const auto& [key, remote] : sources.remote) {
    if (const auto at = drop_at(*remote); at && *at <= now) dropped.insert(remote->spec.cluster);
  }
  return dropped;
}

std::optional<ClustersetService> ViewBook::service_of(const Sources& sources,
                                                      const ClustersetService* before,
                                                      std::set<std::string> dropped) const {
  std::vector<RecordPtr> records;
  ClustersetService out;
  if (sources.local != nullptr) records.push_back(sources.local);
  out.dropped = std::move(dropped);
  for (const auto& [key, remote] : sources.remote) {
    const auto& cluster = remote->spec.cluster;
    if (cluster == cluster_ || out.dropped.count(cluster) != 0) continue;
    records.push_back(RecordPtr(remote, &remote->spec));
    if (remote->status.stale || away_.count(cluster) != 0) out.stale.insert(cluster);
  }
  if (records.empty()) return std::nullopt;
  by_precedence(records);
  const bool same = before != nullptr && before->merged->records == records;
  out.merged =
      same ? before->merged : std::make_shared<const MergedService>(merge(std::move(records)));
  return out;
}

std::set<api::ObjectKey> ViewBook::update(WallTime now) {
  while (!drops_.empty() && drops_.begin()->first <= now) {
    dirty_.insert(where_.at(drops_.begin()->second));
    drops_.erase(drops_.begin());
  }
  view_.next_drop.reset();
  if (!drops_.empty()) view_.next_drop = drops_.begin()->first;
  std::set<api::ObjectKey> changed;
  for (const auto& service : std::exchange(dirty_, {})) {
    const auto sources = sources_.find(service);
    const auto known = view_.services.find(service);
    const auto* before = known == view_.services.end() ? nullptr : &known->second;
    std::optional<ClustersetService> next;
    dropped_.erase(service);
    if (sources != sources_.end()) {
      auto dropped = dropped_of(sources->second, now);
      if (!dropped.empty()) dropped_[service] = dropped;
      next = service_of(sources->second, before, std::move(dropped));
    }
    if (sources != sources_.end() && sources->second.local == nullptr &&
        sources->second.remote.empty()) {
      sources_.erase(sources);
    }
    if (!next) {
      if (before != nullptr) {
        view_.services.erase(known);
        changed.insert(service);
      }
    } else if (before == nullptr || before->merged != next->merged ||
               before->stale != next->stale || before->dropped != next->dropped) {
      view_.services[service] = std::move(*next);
      changed.insert(service);
    }
  }
  view_.dropped.clear();
  for (const auto& [service, clusters] : dropped_) {
    view_.dropped.insert(clusters.begin(), clusters.end());
  }
  return changed;
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
