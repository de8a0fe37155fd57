#include "discovery/exports.h"

#include "api/names.h"

namespace cw::discovery {

void Exports::update(const Changes& changes, const Sources& sources, ViewBook& view) {
  for (const auto& key : changes.at(api::Kind::kServiceExport)) {
    book_.note(key, sources.exports.find(key));
    view.set_exported(key, sources.exports.find(key) != nullptr);
  }
  for (const auto& key : changes.at(api::Kind::kService)) {
    book_.note(key, sources.services.find(key));
    const auto* unreadable = sources.services.unreadable(key);
    book_.note_unreadable_service(key, unreadable == nullptr ? std::string() : unreadable->why);
  }
  for (const auto& key : changes.at(api::Kind::kEndpointSlice)) record_slice(key, sources);
  if (!changes.at(api::Kind::kNode).empty()) pods_ = pod_cidrs(sources.nodes());
  for (const auto& change : book_.settle(sources.own_cluster.id(), pods_)) {
    view.set_own(change.service, change.record);
  }
  log_incomplete();
}

void Exports::record_slice(const api::ObjectKey& key, const Sources& sources) {
  book_.note(key, sources.slices.find(key));
  const auto* unreadable = sources.slices.unreadable(key);
  if (unreadable == nullptr) return book_.note_unreadable_slice(key, {}, {});
  const auto label = unreadable->labels.find(std::string(api::kServiceNameLabel));
  book_.note_unreadable_slice(
      key, {key.ns, label == unreadable->labels.end() ? std::string() : label->second},
      unreadable->why);
}

// Their conditions and Events say so, too.
void Exports::log_incomplete() {
  for (const auto& key : book_.judged()) {
    const auto entry = book_.entries().find(key);
    if (entry == book_.entries().end() || !entry->second.lacking) {
      incomplete_.erase(key);
    } else if (incomplete_.insert(key).second) {
      log_warn("export lacks endpoints", {{"service", key.to_string()},
                                          {"reason", entry->second.lacking->reason},
                                          {"message", entry->second.lacking->message}});
    }
  }
}

}  // namespace cw::discovery
