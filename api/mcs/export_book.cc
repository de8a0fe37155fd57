#include "api/mcs/export_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/diff.h"

namespace cw::api {
namespace {

// The Service that a slice belongs to. An empty name: it belongs to none.
ObjectKey service_of(const EndpointSlice& slice) {
  const auto label = slice.meta.labels.find(std::string(kServiceNameLabel));
  return {slice.meta.key.ns, label == slice.meta.labels.end() ? "" : label->second};
}

}  // namespace

template <typename T>
void ExportBook::note_changes(const Items<T>& seen, const Items<T>& now) {
  const auto changes = diff(seen, now);
  for (const auto& [key, object] : changes.add) note(key, object);
  for (const auto& [key, object] : changes.change) note(key, object);
  for (const auto& [key, object] : changes.remove) note(key, std::shared_ptr<const T>());
}

void ExportBook::forget_slice(const ObjectKey& key) {
  const auto old = slices_.find(key);
  if (old == slices_.end()) return;
  const auto service = service_of(*old->second);
  dirty_.insert(service);
  const auto group = by_service_.find(service);
  group->second.erase(key);
  if (group->second.empty()) by_service_.erase(group);
  slices_.erase(old);
}

void ExportBook::note(const ObjectKey& key, std::shared_ptr<const EndpointSlice> object) {
  forget_slice(key);
  if (object == nullptr) return;
  const auto service = service_of(*object);
  dirty_.insert(service);
  by_service_[service].emplace(key, object);
  slices_[key] = std::move(object);
}

template <typename T>
void ExportBook::note_one(Items<T>& seen, const ObjectKey& key, std::shared_ptr<const T> object) {
  dirty_.insert(key);
  if (object == nullptr) {
    seen.erase(key);
  } else {
    seen[key] = std::move(object);
  }
}

void ExportBook::note(const ObjectKey& key, std::shared_ptr<const ServiceExport> object) {
  note_one(exports_, key, std::move(object));
}

void ExportBook::note(const ObjectKey& key, std::shared_ptr<const Service> object) {
  note_one(services_, key, std::move(object));
}

void ExportBook::note_unreadable_service(const ObjectKey& key, std::string why) {
  const auto known = unreadable_.find(key);
  if ((known == unreadable_.end() ? std::string() : known->second) == why) return;
  dirty_.insert(key);
  if (why.empty()) {
    unreadable_.erase(known);
  } else {
    unreadable_[key] = std::move(why);
  }
}

void ExportBook::note_unreadable_slice(const ObjectKey& key, const ObjectKey& service,
                                       std::string why) {
  if (const auto known = unread_slices_.find(key); known != unread_slices_.end()) {
    const auto before = known->second.first;
    dirty_.insert(before);
    const auto group = unread_by_service_.find(before);
    group->second.erase(key);
    if (group->second.empty()) unread_by_service_.erase(group);
    unread_slices_.erase(known);
  }
  if (why.empty()) return;
  dirty_.insert(service);
  unread_by_service_[service].insert(key);
  unread_slices_.emplace(key, std::pair(service, std::move(why)));
}

std::optional<ExportVerdict> ExportBook::judge(const ObjectKey& key) const {
  const auto wanted = exports_.find(key);
  if (wanted == exports_.end()) return std::nullopt;
  std::vector<std::shared_ptr<const EndpointSlice>> slices;
  if (const auto group = by_service_.find(key); group != by_service_.end()) {
    for (const auto& [name, slice] : group->second) slices.push_back(slice);
  }
  const auto service = services_.find(key);
  ExportInputs inputs{
      cluster_, *wanted->second, service == services_.end() ? nullptr : service->second.get(),
      slices,   cidr_set_,       open(key.ns)};
  if (const auto at = unreadable_.find(key); at != unreadable_.end()) {
    inputs.unreadable_service = at->second;
  }
  std::string slice;
  if (const auto at = unread_by_service_.find(key); at != unread_by_service_.end()) {
    const auto& first = *at->second.begin();
    slice = fmt::format("{}: {}", first.name, unread_slices_.at(first).second);
    inputs.unreadable_slice = slice;
  }
  return judge_export(inputs);
}

void ExportBook::weigh(const ObjectKey& key, const std::optional<ExportVerdict>& verdict) {
  if (const auto known = weights_.find(key); known != weights_.end()) {
    weight_ -= known->second.bytes;
    weights_.erase(known);
  }
  if (!verdict || !verdict->record) return;
  const ExportWeight weight{record_bytes(*verdict->record), verdict->record->exported_at};
  weight_ += weight.bytes;
  weights_.emplace(key, weight);
}

void ExportBook::share(std::map<ObjectKey, std::optional<ExportVerdict>>& verdicts) {
  const bool fits = weights_.size() <= limits_.exports && weight_ <= limits_.bytes;
  if (verdicts.empty() || (fits && crowded_out_.empty())) return;
  auto next = crowded_out(weights_, limits_);
  usage_.clear();
  for (const auto& [key, weight] : weights_) {
    auto& used = usage_.try_emplace(key.ns, ShareLimits{0, 0}).first->second;
    ++used.exports;
    used.bytes += weight.bytes;
  }
  std::vector<ObjectKey> moved;
  std::set_symmetric_difference(next.begin(), next.end(), crowded_out_.begin(), crowded_out_.end(),
                                std::back_inserter(moved));
  crowded_out_ = std::move(next);
  for (const auto& key : moved) {
    judged_.insert(key);
    if (verdicts.count(key) == 0) verdicts.emplace(key, judge(key));
  }
}

Condition ExportBook::over_share(const ServiceExport& object) const {
  const auto& ns = object.meta.key.ns;
  const auto& [exports, bytes] = usage_.at(ns);
  return {"Valid",
          ConditionStatus::kFalse,
          "OverShare",
          fmt::format("not announced: namespace {} exports {} Services of {} KiB, and its share of "
                      "what this cluster announces is {} Services and {} KiB; remove exports of "
                      "the namespace, or exported labels and annotations",
                      ns, exports, bytes >> 10U, limits_.exports / usage_.size(),
                      (limits_.bytes / usage_.size()) >> 10U),
          object.meta.generation,
          {}};
}

void ExportBook::note_verdict(const ObjectKey& key, std::optional<ExportVerdict> verdict,
                              std::vector<Change>& changes) {
  const auto known = entries_.find(key);
  const auto had = known == entries_.end() ? nullptr : known->second.record;
  if (verdict && verdict->record && crowded_out_.count(key) != 0) {
    verdict->valid = over_share(*exports_.at(key));
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
  note_changes(exports_, exports);
  note_changes(services_, services);
  note_changes(slices_, slices);
  return settle(cluster, cidrs);
}

std::vector<ExportBook::Change> ExportBook::settle(std::string_view cluster,
                                                   const std::vector<Prefix>& cidrs) {
  if (cluster != cluster_ || cidrs != cidrs_) {
    cluster_ = cluster;
    cidrs_ = cidrs;
    cidr_set_ = PrefixSet(cidrs_);
    for (const auto& [key, object] : exports_) dirty_.insert(key);
  }
  std::map<ObjectKey, std::optional<ExportVerdict>> verdicts;
  judged_ = std::exchange(dirty_, {});
  for (const auto& key : judged_) {
    auto verdict = judge(key);
    weigh(key, verdict);
    verdicts.emplace(key, std::move(verdict));
  }
  share(verdicts);
  std::vector<Change> changes;
  for (auto& [key, verdict] : verdicts) note_verdict(key, std::move(verdict), changes);
  return changes;
}

}  // namespace cw::api
