#include "api/mcs/export_book.h"

#include <utility>

namespace cw::api {
namespace {

// The Service that a slice belongs to; an empty name if to none.
ObjectKey service_of(const EndpointSlice& slice) {
  const auto label = slice.meta.labels.find(std::string(kServiceNameLabel));
  return {slice.meta.key.ns, label == slice.meta.labels.end() ? "" : label->second};
}

}  // namespace

template <typename T>
void ExportBook::note_changes(Items<T>& seen, const Items<T>& now) {
  auto old = seen.begin();
  for (const auto& [key, object] : now) {
    while (old != seen.end() && old->first < key) {
      dirty_.insert(old->first);
      old = seen.erase(old);
    }
    if (old == seen.end() || key < old->first) {
      dirty_.insert(key);
      old = std::next(seen.emplace_hint(old, key, object));
      continue;
    }
    if (old->second != object) {
      dirty_.insert(key);
      old->second = object;
    }
    ++old;
  }
  while (old != seen.end()) {
    dirty_.insert(old->first);
    old = seen.erase(old);
  }
}

void ExportBook::note_slices(const Items<EndpointSlice>& now) {
  const auto forget = [this](const std::pair<const ObjectKey, Slice>& slice) {
    dirty_.insert(slice.second.service);
    const auto group = by_service_.find(slice.second.service);
    group->second.erase(slice.first);
    if (group->second.empty()) by_service_.erase(group);
  };
  for (auto old = slices_.begin(); old != slices_.end();) {
    const auto found = now.find(old->first);
    if (found != now.end() && found->second == old->second.object) {
      ++old;
      continue;
    }
    forget(*old);
    old = slices_.erase(old);
  }
  if (slices_.size() == now.size()) return;  // all of them are known
  for (const auto& [key, object] : now) {
    const auto [slot, added] = slices_.try_emplace(key);
    if (!added) continue;
    slot->second = {object, service_of(*object)};
    dirty_.insert(slot->second.service);
    by_service_[slot->second.service].emplace(key, object);
  }
}

void ExportBook::judge(const ObjectKey& key, std::vector<Change>& changes) {
  const auto known = entries_.find(key);
  const auto had = known == entries_.end() ? nullptr : known->second.record;
  const auto wanted = exports_.find(key);
  if (wanted == exports_.end()) {
    if (known != entries_.end()) entries_.erase(known);
    if (had != nullptr) changes.push_back({key, nullptr});
    return;
  }
  std::vector<std::shared_ptr<const EndpointSlice>> slices;
  if (const auto group = by_service_.find(key); group != by_service_.end()) {
    for (const auto& [name, slice] : group->second) slices.push_back(slice);
  }
  const auto service = services_.find(key);
  auto verdict = judge_export({cluster_, *wanted->second,
                               service == services_.end() ? nullptr : service->second.get(), slices,
                               cidr_set_, open(key.ns)});
  auto& entry = entries_[key];
  entry.valid = std::move(verdict.valid);
  if (!verdict.record.has_value()) {
    entry.record = nullptr;
    if (had != nullptr) changes.push_back({key, nullptr});
  } else if (had == nullptr || !(*had == *verdict.record)) {
    entry.record = std::make_shared<const ExportRecord>(std::move(*verdict.record));
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
  note_slices(slices);
  if (cluster != cluster_ || cidrs != cidrs_) {
    cluster_ = cluster;
    cidrs_ = cidrs;
    cidr_set_ = PrefixSet(cidrs_);
    for (const auto& [key, object] : exports_) dirty_.insert(key);
  }
  std::vector<Change> changes;
  for (const auto& key : dirty_) judge(key, changes);
  dirty_.clear();
  return changes;
}

}  // namespace cw::api
