// All exports of one cluster, kept up to date from informer snapshots. update() walks the snapshots
// once (about 2 ms for 10,000 Services) and judges only the exports whose objects changed. Exports
// beyond the limits of api/mcs/shares.h are not valid, and their condition says so.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/mcs/export_sources.h"
#include "api/mcs/share_book.h"

namespace cw::api {

class ExportBook {
 public:
  // `namespaces`: those opened for export by an administrator. Empty: all.
  explicit ExportBook(std::vector<std::string> namespaces = {}, const ShareLimits& limits = {})
      : open_(namespaces.begin(), namespaces.end()), shares_(limits) {}
  // For a caller that keeps the records itself. entries() stays empty, and each judged export is
  // among the changes even if its record is the same as before.
  void keep_nothing() { keeps_ = false; }

  template <typename T>
  using Items = ExportSources::Items<T>;  // Informer<T>::items()

  // A new or changed record, or null if the record is gone.
  struct Change {
    ObjectKey service;
    std::shared_ptr<const ExportRecord> record;
  };

  // Returns what changed since the last call, in key order. If `cluster` or `cidrs` (the prefixes
  // that the cluster announces) changed, all exports are judged.
  std::vector<Change> update(std::string_view cluster, const Items<ServiceExport>& exports,
                             const Items<Service>& services, const Items<EndpointSlice>& slices,
                             const std::vector<Prefix>& cidrs);

  // The same for a caller that knows what changed: note() each new, changed or removed (null)
  // object, then settle().
  template <typename T>
  void note(const ObjectKey& key, std::shared_ptr<const T> object) {
    sources_.set(key, std::move(object));
  }
  // As ExportSources::set_unreadable_service() and set_unreadable_slice().
  void note_unreadable_service(const ObjectKey& key, std::string why) {
    sources_.set_unreadable_service(key, std::move(why));
  }
  void note_unreadable_slice(const ObjectKey& key, const ObjectKey& service, std::string why) {
    sources_.set_unreadable_slice(key, service, std::move(why));
  }
  std::vector<Change> settle(std::string_view cluster, const std::vector<Prefix>& cidrs);
  // The exports that the last call judged.
  [[nodiscard]] const std::set<ObjectKey>& judged() const { return judged_; }

  struct Entry {
    Condition valid;                             // as in ExportVerdict
    std::shared_ptr<const ExportRecord> record;  // null unless valid
    std::optional<Condition> lacking;            // as in ExportVerdict
  };
  // One entry for each ServiceExport, in key order.
  [[nodiscard]] const std::map<ObjectKey, Entry>& entries() const { return entries_; }

 private:
  [[nodiscard]] std::optional<ExportVerdict> judge(const ObjectKey& key) const {
    return sources_.judge(key, cluster_, cidr_set_, open_.empty() || open_.count(key.ns) != 0);
  }
  void record(const ObjectKey& key, std::optional<ExportVerdict> verdict,
              std::vector<Change>& changes);

  std::set<std::string> open_;
  ExportSources sources_;
  ShareBook shares_;
  bool keeps_ = true;
  std::string cluster_;
  std::vector<Prefix> cidrs_;
  PrefixSet cidr_set_;
  std::set<ObjectKey> judged_;
  std::map<ObjectKey, Entry> entries_;
};

}  // namespace cw::api
