#include "discovery/mcs/view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace cw::discovery {

using api::Condition;
using api::ConditionStatus;

void ViewBook::set_cluster(const std::string& cluster) {
  if (cluster == cluster_) return;
  cluster_ = cluster;
  for (const auto& [service, sources] : sources_) dirty_.insert(service);
}

void ViewBook::set_own(const api::ObjectKey& service, RecordPtr record) {
  sources_[service].local = std::move(record);
  dirty_.insert(service);
}

void ViewBook::set_exported(const api::ObjectKey& service, bool is) {
  const auto known = sources_.find(service);
  if ((known != sources_.end() && known->second.exported) == is) return;
  sources_[service].exported = is;
  dirty_.insert(service);
}

void ViewBook::set_peers(const Items<api::ClusterPeer>& peers) {
  auto next = api::peers_by_cluster(peers);
  const auto same = [](const auto& map, const std::string& cluster, const api::ClusterPeer& peer) {
    const auto at = map.find(cluster);
    return at != map.end() && at->second->spec.imports == peer.spec.imports &&
           at->second->meta.created == peer.meta.created;
  };
  std::set<std::string> other;
  for (const auto& [cluster, peer] : next) {
    if (!same(peers_, cluster, *peer)) other.insert(cluster);
  }
  for (const auto& [cluster, peer] : peers_) {
    if (!same(next, cluster, *peer)) other.insert(cluster);
  }
  peers_ = std::move(next);
  dirty_all_of(other);
}

void ViewBook::forget(const api::ObjectKey& key) {
  const auto where = where_.find(key);
  if (where == where_.end()) return;
  auto& remote = sources_[where->second].remote;
  const auto known = remote.find(key);
  const auto count = records_.find(known->second->spec.cluster);
  if (--count->second == 0) records_.erase(count);
  remote.erase(known);
  dirty_.insert(where->second);
  where_.erase(where);
}

void ViewBook::set_remote(const api::ObjectKey& key,
                          std::shared_ptr<const api::RemoteExport> object) {
  forget(key);
  if (object == nullptr) return;
  const auto& service = object->spec.service;
  where_.emplace(key, service);
  dirty_.insert(service);
  ++records_[object->spec.cluster];
  sources_[service].remote.emplace(key, std::move(object));
}

void ViewBook::dirty_all_of(const std::set<std::string>& clusters) {
  if (clusters.empty()) return;
  for (const auto& [service, sources] : sources_) {
    for (const auto& [key, remote] : sources.remote) {
      if (clusters.count(remote->spec.cluster) != 0) dirty_.insert(service);
    }
  }
}

void ViewBook::set_away(api::Away clusters) {
  std::set<std::string> other;
  for (const auto& [cluster, since] : clusters) {
    if (away_.count(cluster) == 0) other.insert(cluster);
  }
  for (const auto& [cluster, since] : away_) {
    if (clusters.count(cluster) == 0) other.insert(cluster);
  }
  dirty_all_of(other);
  away_ = std::move(clusters);
}

// Finds the clusters that are away for too long, and when the next one will be.
void ViewBook::drop(WallTime now) {
  std::set<std::string> gone;
  view_.next_drop.reset();
  for (const auto& [cluster, since] : away_) {
    if (since == WallTime{}) continue;
    const auto at = since + stale_drop_;
    if (at <= now) {
      gone.insert(cluster);
    } else {
      view_.next_drop = view_.next_drop ? std::min(*view_.next_drop, at) : at;
    }
  }
  std::set<std::string> other;
  std::set_symmetric_difference(gone.begin(), gone.end(), gone_.begin(), gone_.end(),
                                std::inserter(other, other.end()));
  dirty_all_of(other);
  gone_ = std::move(gone);
  view_.dropped.clear();
  for (const auto& cluster : gone_) {
    if (records_.count(cluster) != 0) view_.dropped.insert(cluster);
  }
}

// The gateway applied these rules before it wrote the object. They are applied again, because an
// older gateway may have written it, or one that stopped before its ClusterPeer changed.
std::optional<Claimant> ViewBook::claimant_of(
    const std::shared_ptr<const api::RemoteExport>& remote, bool exported,
    std::set<std::string>& kept_out) const {
  const auto& record = remote->spec;
  const auto peer = peers_.find(record.cluster);
  if (record.cluster == cluster_ || peer == peers_.end()) return std::nullopt;
  const auto& spec = peer->second->spec;
  switch (api::import_verdict(spec, record.service, exported)) {
    case api::ImportVerdict::kNotListed:
      return std::nullopt;
    case api::ImportVerdict::kOverLocal:
      kept_out.insert(record.cluster);
      return std::nullopt;
    case api::ImportVerdict::kImported:
      break;
  }
  if (remote->kept_out) return std::nullopt;  // the gateway will soon write the export itself
  Claimant claimant;
  claimant.record = RecordPtr(remote, &record);
  claimant.since =
      api::precedence_of(record.exported_at, remote->meta.created, peer->second->meta.created);
  claimant.steers = api::follows_policy(spec, record.service);
  return claimant;
}

std::optional<ClustersetService> ViewBook::service_of(const Sources& sources,
                                                      const ClustersetService* before,
                                                      std::set<std::string>& kept_out) const {
  std::vector<Claimant> claimants;
  ClustersetService out;
  if (sources.local != nullptr) {
    claimants.push_back({sources.local, sources.local->exported_at, true, true});
  }
  const bool exported = sources.exported || sources.local != nullptr;
  for (const auto& [key, remote] : sources.remote) {
    auto claimant = claimant_of(remote, exported, kept_out);
    if (!claimant) continue;
    const auto& cluster = remote->spec.cluster;
    if (gone_.count(cluster) != 0) {
      out.dropped.insert(cluster);
      continue;
    }
    claimants.push_back(std::move(*claimant));
    if (away_.count(cluster) != 0) out.stale.insert(cluster);
  }
  if (claimants.empty()) return std::nullopt;
  out.merged = before != nullptr && merges_to(*before->merged, claimants)
                   ? before->merged
                   : std::make_shared<const MergedService>(merge(std::move(claimants)));
  return out;
}

// True: it changed.
bool ViewBook::record_kept_out(const api::ObjectKey& service, std::set<std::string> clusters) {
  const auto known = view_.kept_out.find(service);
  if (clusters.empty()) {
    if (known == view_.kept_out.end()) return false;
    view_.kept_out.erase(known);
    return true;
  }
  if (known != view_.kept_out.end() && known->second == clusters) return false;
  view_.kept_out.insert_or_assign(service, std::move(clusters));
  return true;
}

std::set<api::ObjectKey> ViewBook::update(WallTime now) {
  drop(now);
  std::set<api::ObjectKey> changed;
  for (const auto& service : std::exchange(dirty_, {})) {
    const auto sources = sources_.find(service);
    const auto known = view_.services.find(service);
    const auto* before = known == view_.services.end() ? nullptr : &known->second;
    std::optional<ClustersetService> next;
    std::set<std::string> kept_out;
    if (sources != sources_.end()) next = service_of(sources->second, before, kept_out);
    if (record_kept_out(service, std::move(kept_out))) changed.insert(service);
    if (sources != sources_.end() && sources->second.local == nullptr &&
        !sources->second.exported && sources->second.remote.empty()) {
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
  return changed;
}

std::vector<Prefix> clients_of(const Items<api::Node>& nodes) {
  auto clients = pod_cidrs(nodes);
  for (const auto& [key, node] : nodes) {
    for (const auto& address : node->internal_ips) clients.push_back(Prefix::host(address));
  }
  return clients;
}

std::vector<Prefix> pod_cidrs(const Items<api::Node>& nodes) {
  std::set<Prefix> out;
  for (const auto& [key, node] : nodes) out.insert(node->pod_cidrs.begin(), node->pod_cidrs.end());
  return {out.begin(), out.end()};
}

namespace {

// Whether peers' exports of the name form one Service with this cluster's. No value: none was ever
// left out.
std::optional<Condition> shared_condition(const api::ServiceExport& object, const View& view) {
  const auto kept_out = view.kept_out.find(object.meta.key);
  Condition shared{"Shared",
                   ConditionStatus::kTrue,
                   "NothingKeptOut",
                   "no peer's export of this name is kept out",
                   object.meta.generation,
                   {}};
  if (kept_out != view.kept_out.end()) {
    shared.status = ConditionStatus::kFalse;
    shared.reason = "KeptOut";
    shared.message = fmt::format(
        "exports of the same name by {} are not used, because this cluster exports it; to share "
        "the name, add {{namespace: {}, service: {}, overLocal: true}} to spec.imports of the "
        "ClusterPeer",
        fmt::join(kept_out->second, ", "), object.meta.key.ns, object.meta.key.name);
  } else if (api::find_condition(object.status.conditions, "Shared") == nullptr) {
    return std::nullopt;
  }
  return shared;
}

}  // namespace

std::vector<Condition> export_conditions(const api::ServiceExport& object,
                                         const api::ExportBook::Entry& entry, const View& view) {
  const auto generation = object.meta.generation;
  auto valid = entry.valid;
  valid.observed_generation = generation;
  const bool exported = entry.record != nullptr;
  Condition ready{"Ready",
                  exported ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                  exported ? "Ready" : "Pending",
                  exported ? "other clusters can import it" : "the export is not valid yet",
                  generation,
                  {}};
  if (exported && entry.lacking && entry.record->endpoints.empty()) {
    ready.status = ConditionStatus::kFalse;
    ready.reason = "Failed";
    ready.message = entry.lacking->message;
  }
  Condition conflict{"Conflict",    ConditionStatus::kFalse,
                     "NoConflicts", "no other export of this name differs",
                     generation,    {}};
  const auto found = view.services.find(object.meta.key);
  if (exported && found != view.services.end() && found->second.merged->conflict) {
    conflict.status = ConditionStatus::kTrue;
    conflict.reason = found->second.merged->conflict->reasons;
    conflict.message = found->second.merged->conflict->message;
  }
  std::vector<Condition> all{std::move(valid), std::move(ready), std::move(conflict)};
  if (entry.lacking) {
    all.push_back(*entry.lacking);
  } else if (api::find_condition(object.status.conditions, "Reachable") != nullptr) {
    all.push_back({"Reachable",
                   ConditionStatus::kTrue,
                   "AllExported",
                   "all endpoints of the Service are exported",
                   generation,
                   {}});
  }
  if (auto shared = shared_condition(object, view)) all.push_back(std::move(*shared));
  return all;
}

}  // namespace cw::discovery
