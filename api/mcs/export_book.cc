#include "api/mcs/export_book.h"

#include <utility>

namespace cw::api {

void ExportBook::record(const ObjectKey& key, std::optional<ExportVerdict> verdict,
                        std::vector<Change>& changes) {
  const auto known = entries_.find(key);
  const auto had = known == entries_.end() ? nullptr : known->second.record;
  if (verdict && verdict->record && !shares_.fits(key)) {
    verdict->valid = shares_.over_share(sources_.wanted(key));
    verdict->record.reset();
    verdict->lacking.reset();
  }
  if (!keeps_) {
    changes.push_back({key, nullptr});
    if (verdict && verdict->record) {
      changes.back().record = std::make_shared<const ExportRecord>(std::move(*verdict->record));
    }
    return;
  }
  if (!verdict) {
    if (known != entries_.end()) entries_.erase(known);
    if (had != nullptr) changes.push_back({key, nullptr});
    return;
  }
  auto& entry = entries_[key];
  entry.valid = std::move(verdict->valid);
  entry.lacking = std::move(verdict->lacking);
  if (!verdict->record) {
    entry.record = nullptr;
    if (had != nullptr) changes.push_back({key, nullptr});
  } else if (had == nullptr || !(*had == *verdict->record)) {
    entry.record = std::make_shared<const ExportRecord>(std::move(*verdict->record));
    changes.push_back({key, entry.record});
  }
}

std::vector<ExportBook::Change> ExportBook::update(std::string_view cluster,
                                                   const Items<ServiceExport>& exports,
                                                   const Items<Service>& services,
                                                   const Items<EndpointSlice>& slices,
                                                   const std::vector<Prefix>& cidrs) {
  sources_.set_all(exports, services, slices);
  return settle(cluster, cidrs);
}

std::vector<ExportBook::Change> ExportBook::settle(std::string_view cluster,
                                                   const std::vector<Prefix>& cidrs) {
  if (cluster != cluster_ || cidrs != cidrs_) {
    cluster_ = cluster;
    cidrs_ = cidrs;
    cidr_set_ = PrefixSet(cidrs_);
    sources_.change_all();
  }
  std::map<ObjectKey, std::optional<ExportVerdict>> verdicts;
  judged_ = sources_.take_changes();
  for (const auto& key : judged_) {
    auto verdict = judge(key);
    shares_.set(key, verdict && verdict->record ? &*verdict->record : nullptr);
    verdicts.emplace(key, std::move(verdict));
  }
  // Exports for which the answer changed are judged, too.
  const auto moved = judged_.empty() ? std::vector<ObjectKey>() : shares_.share();
  for (const auto& key : moved) {
    judged_.insert(key);
    if (verdicts.count(key) == 0) verdicts.emplace(key, judge(key));
  }
  std::vector<Change> changes;
  for (auto& [key, verdict] : verdicts) record(key, std::move(verdict), changes);
  return changes;
}

}  // namespace cw::api
