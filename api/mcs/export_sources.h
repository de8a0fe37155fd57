// The objects that a cluster's exports follow from: ServiceExports, Services and EndpointSlices, by
// Service. It remembers for which Services they changed. Objects are immutable, so an object is
// unchanged if its pointer is.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "api/mcs/export_record.h"

namespace cw::api {

class ExportSources {
 public:
  template <typename T>
  using Items = std::map<ObjectKey, std::shared_ptr<const T>>;

  // A new or changed object. Null: it is gone.
  void set(const ObjectKey& key, std::shared_ptr<const ServiceExport> object);
  void set(const ObjectKey& key, std::shared_ptr<const Service> object);
  void set(const ObjectKey& key, std::shared_ptr<const EndpointSlice> object);
  // All objects.
  void set_all(const Items<ServiceExport>& exports, const Items<Service>& services,
               const Items<EndpointSlice>& slices);
  // `why`: the reason why the newest version of a Service, or of a slice of a Service, cannot be
  // read. Empty: it can be read.
  void set_unreadable_service(const ObjectKey& key, std::string why);
  void set_unreadable_slice(const ObjectKey& key, const ObjectKey& service, std::string why);

  // The Services that changed since the last call.
  [[nodiscard]] std::set<ObjectKey> take_changes() { return std::exchange(dirty_, {}); }
  void change_all();  // every export counts as changed
  [[nodiscard]] const ServiceExport& wanted(const ObjectKey& key) const {
    return *exports_.at(key);
  }
  // Nothing: there is no such ServiceExport. `open`: its namespace may export.
  [[nodiscard]] std::optional<ExportVerdict> judge(const ObjectKey& key, std::string_view cluster,
                                                   const PrefixSet& cidrs, bool open) const;

 private:
  template <typename T>
  void set_one(Items<T>& known, const ObjectKey& key, std::shared_ptr<const T> object);
  template <typename T>
  void set_changes(const Items<T>& known, const Items<T>& now);
  void forget_slice(const ObjectKey& key);

  Items<ServiceExport> exports_;
  Items<Service> services_;
  Items<EndpointSlice> slices_;
  std::map<ObjectKey, Items<EndpointSlice>> by_service_;
  std::map<ObjectKey, std::string> unreadable_;                           // Services
  std::map<ObjectKey, std::pair<ObjectKey, std::string>> unread_slices_;  // slice -> service, why
  std::map<ObjectKey, std::set<ObjectKey>> unread_by_service_;
  std::set<ObjectKey> dirty_;
};

}  // namespace cw::api
