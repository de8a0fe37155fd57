#include "api/mcs/export_sources.h"

#include <fmt/format.h>

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
void ExportSources::set_changes(const Items<T>& known, const Items<T>& now) {
  const auto changes = diff(known, now);
  for (const auto& [key, object] : changes.add) set(key, object);
  for (const auto& [key, object] : changes.change) set(key, object);
  for (const auto& [key, object] : changes.remove) set(key, std::shared_ptr<const T>());
}

void ExportSources::forget_slice(const ObjectKey& key) {
  const auto old = slices_.find(key);
  if (old == slices_.end()) return;
  const auto service = service_of(*old->second);
  dirty_.insert(service);
  const auto group = by_service_.find(service);
  group->second.erase(key);
  if (group->second.empty()) by_service_.erase(group);
  slices_.erase(old);
}

void ExportSources::set(const ObjectKey& key, std::shared_ptr<const EndpointSlice> object) {
  forget_slice(key);
  if (object == nullptr) return;
  const auto service = service_of(*object);
  dirty_.insert(service);
  by_service_[service].emplace(key, object);
  slices_[key] = std::move(object);
}

template <typename T>
void ExportSources::set_one(Items<T>& known, const ObjectKey& key,
                            std::shared_ptr<const T> object) {
  dirty_.insert(key);
  if (object == nullptr) {
    known.erase(key);
  } else {
    known[key] = std::move(object);
  }
}

void ExportSources::set(const ObjectKey& key, std::shared_ptr<const ServiceExport> object) {
  set_one(exports_, key, std::move(object));
}

void ExportSources::set(const ObjectKey& key, std::shared_ptr<const Service> object) {
  set_one(services_, key, std::move(object));
}

void ExportSources::set_all(const Items<ServiceExport>& exports, const Items<Service>& services,
                            const Items<EndpointSlice>& slices) {
  set_changes(exports_, exports);
  set_changes(services_, services);
  set_changes(slices_, slices);
}

void ExportSources::set_unreadable_service(const ObjectKey& key, std::string why) {
  const auto known = unreadable_.find(key);
  if ((known == unreadable_.end() ? std::string() : known->second) == why) return;
  dirty_.insert(key);
  if (why.empty()) {
    unreadable_.erase(known);
  } else {
    unreadable_[key] = std::move(why);
  }
}

void ExportSources::set_unreadable_slice(const ObjectKey& key, const ObjectKey& service,
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

void ExportSources::change_all() {
  for (const auto& [key, object] : exports_) dirty_.insert(key);
}

std::optional<ExportVerdict> ExportSources::judge(const ObjectKey& key, std::string_view cluster,
                                                  const PrefixSet& cidrs, bool open) const {
  const auto wanted = exports_.find(key);
  if (wanted == exports_.end()) return std::nullopt;
  std::vector<std::shared_ptr<const EndpointSlice>> slices;
  if (const auto group = by_service_.find(key); group != by_service_.end()) {
    for (const auto& [name, slice] : group->second) slices.push_back(slice);
  }
  const auto service = services_.find(key);
  ExportInputs inputs{
      cluster, *wanted->second, service == services_.end() ? nullptr : service->second.get(),
      slices,  cidrs,           open};
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

}  // namespace cw::api
