// All exports of one cluster, kept up to date from informer snapshots. Objects are immutable, so an
// object is unchanged if its pointer is. update() walks the snapshots once (about 2 ms for 10,000
// Services) and judges only the exports whose objects changed. Exports beyond the limits of
// api/mcs/shares.h are not valid, and their condition says so.
#pragma once

#include <map>
#include <set>

#include "api/mcs/export_record.h"
#include "api/mcs/shares.h"

namespace cw::api {

class ExportBook {
 public:
  // `namespaces`: those opened for export by an administrator. Empty: all.
  explicit ExportBook(std::vector<std::string> namespaces = {}, const ShareLimits& limits = {})
      : open_(namespaces.begin(), namespaces.end()), limits_(limits) {}
  // For a caller that keeps the records itself. entries() stays empty, and each judged export is
  // among the changes even if its record is the same as before.
  void keep_nothing() { keeps_ = false; }

  template <typename T>
  using Items = std::map<ObjectKey, std::shared_ptr<const T>>;  // Informer<T>::items()

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
  void note(const ObjectKey& key, std::shared_ptr<const ServiceExport> object);
  void note(const ObjectKey& key, std::shared_ptr<const Service> object);
  void note(const ObjectKey& key, std::shared_ptr<const EndpointSlice> object);
  // `why`: the reason why the newest version of a Service, or of a slice of a Service, cannot be
  // read. Empty: it can be read.
  void note_unreadable_service(const ObjectKey& key, std::string why);
  void note_unreadable_slice(const ObjectKey& key, const ObjectKey& service, std::string why);
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
  template <typename T>
  void note_changes(const Items<T>& seen, const Items<T>& now);
  template <typename T>
  void note_one(Items<T>& seen, const ObjectKey& key, std::shared_ptr<const T> object);
  void forget_slice(const ObjectKey& key);
  [[nodiscard]] std::optional<ExportVerdict> judge(const ObjectKey& key) const;
  void weigh(const ObjectKey& key, const std::optional<ExportVerdict>& verdict);
  // Determines which exports fit. Exports for which the answer changed are judged, too.
  void share(std::map<ObjectKey, std::optional<ExportVerdict>>& verdicts);
  [[nodiscard]] Condition over_share(const ServiceExport& object) const;
  void note_verdict(const ObjectKey& key, std::optional<ExportVerdict> verdict,
                    std::vector<Change>& changes);

  [[nodiscard]] bool open(const std::string& ns) const {
    return open_.empty() || open_.count(ns) != 0;
  }

  std::set<std::string> open_;
  ShareLimits limits_;
  ExportWeights weights_;                     // of all valid exports
  std::size_t weight_ = 0;                    // their sum, in bytes
  std::set<ObjectKey> crowded_out_;           // those of them that do not fit
  std::map<std::string, ShareLimits> usage_;  // by namespace, since the last crowded_out()
  bool keeps_ = true;
  std::string cluster_;
  std::vector<Prefix> cidrs_;
  PrefixSet cidr_set_;
  Items<ServiceExport> exports_;
  Items<Service> services_;
  Items<EndpointSlice> slices_;
  std::map<ObjectKey, Items<EndpointSlice>> by_service_;
  std::map<ObjectKey, std::string> unreadable_;                           // Services
  std::map<ObjectKey, std::pair<ObjectKey, std::string>> unread_slices_;  // slice -> service, why
  std::map<ObjectKey, std::set<ObjectKey>> unread_by_service_;
  std::set<ObjectKey> dirty_;
  std::set<ObjectKey> judged_;
  std::map<ObjectKey, Entry> entries_;
};

}  // namespace cw::api
