// A cache of one kind that keeps itself current. It lists and watches, and lists again when its
// version has expired. After an outage of the store it resumes the watch, with a backoff. So
// thousands of objects are not fetched again because a server restarted. An object that does not
// decode keeps its last good state and is reported once per version through on_bad. The cache holds
// decoded values only, no JSON.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/store/object_cache.h"
#include "api/store/store.h"
#include "api/store/store_contact.h"

namespace cw::api {

template <typename T>
class Informer {
 public:
  using Items = typename ObjectCache<T>::Items;
  using Unreadable = typename ObjectCache<T>::Unreadable;
  // Called after each change of items(), when synced() or available() changed, and after the first
  // error of a list.
  using OnChange = std::function<void()>;
  using OnBad = typename ObjectCache<T>::OnBad;

  Informer(Loop& loop, Store& store, Random& random, OnChange on_change, std::string ns = {},
           std::string name = {})
      : loop_(loop), store_(store), random_(random), on_change_(std::move(on_change)) {
    selector_.kind = T::kKind;
    selector_.ns = std::move(ns);
    selector_.name = std::move(name);
    relist();
  }
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  // The kind may be missing from the cluster: that counts as a list without objects. The store is
  // asked again every kLookAgain, because the kind may be added later. Call it before the first
  // turn of the loop.
  void set_optional() { optional_ = true; }
  void set_on_bad(OnBad on_bad) { objects_.set_on_bad(std::move(on_bad)); }
  // `trim` removes from each object what this process never reads, before it is stored: 10,000
  // Services with their annotations take many megabytes. Not for objects that are written back
  // whole.
  void set_trim(std::function<void(T&)> trim) { objects_.set_trim(std::move(trim)); }
  // From now on the informer remembers which objects changed. take_changes() returns them and
  // forgets them. An object that a list shows in its known version did not change.
  void track_changes() { objects_.track_changes(); }
  // Null: the object decodes, or does not exist. A change of this value counts as a change of the
  // object.
  [[nodiscard]] const Unreadable* unreadable(const ObjectKey& key) const {
    return objects_.unreadable(key);
  }
  [[nodiscard]] std::set<ObjectKey> take_changes() { return objects_.take_changes(); }
  [[nodiscard]] const Items& items() const { return objects_.items(); }
  [[nodiscard]] std::shared_ptr<const T> find(const ObjectKey& key) const {
    return objects_.find(key);
  }
  [[nodiscard]] bool synced() const { return synced_; }                  // has listed at least once
  [[nodiscard]] bool available() const { return contact_.available(); }  // the store answers
  [[nodiscard]] const std::string& last_error() const { return contact_.last_error(); }

 private:
  static constexpr auto kLookAgain = std::chrono::seconds(60);

  void relist() {
    objects_.begin_list();
    request_ = store_.list_pages(
        selector_,
        [this](const std::vector<Object>& page, bool first) {
          if (first) objects_.begin_list();
          objects_.add_page(page);
        },
        [this](const Result<List>& result) { end_list(result); });
  }

  void end_list(const Result<List>& result) {
    if (!result && optional_ && result.error().code == Errc::kNotFound) return record_absence();
    if (!result) return retry_later(result.error(), [this] { relist(); });
    objects_.end_list();
    version_ = result->resource_version;
    synced_ = true;
    (void)contact_.answered();
    start_watch();
    on_change_();
  }

  void record_absence() {
    const bool changed = !synced_ || !items().empty() || !available();
    objects_.clear();
    synced_ = true;
    (void)contact_.answered();
    timer_ = loop_.after(kLookAgain, [this] { relist(); });
    if (changed) on_change_();
  }

  void start_watch() {
    WatchHandler handler;
    handler.on_event = [this](const WatchEvent& event) { apply(event); };
    handler.on_end = [this](const Error& error) {
      if (error.code == Errc::kExpired || (optional_ && error.code == Errc::kNotFound)) {
        timer_ = loop_.after(Duration::zero(), [this] { relist(); });
      } else {
        contact_.ended(loop_.now());
        retry_later(error, [this] { start_watch(); });
      }
    };
    contact_.asked();
    handler.on_open = [this] {
      if (contact_.opened(loop_.now())) on_change_();
    };
    request_ = store_.watch(selector_, version_, std::move(handler));
  }

  void apply(const WatchEvent& event) {
    (void)contact_.answered();  // on_change_ is called below
    version_ = event.object.resource_version;
    if (event.type == EventType::kBookmark) return;
    objects_.apply(event);
    on_change_();
  }

  void retry_later(const Error& error, Loop::Callback again) {
    const bool changed = contact_.failed(error);
    timer_ = loop_.after(contact_.next_try(random_), std::move(again));
    if (changed) on_change_();
  }

  Loop& loop_;
  Store& store_;
  Random& random_;
  OnChange on_change_;
  Selector selector_;
  ObjectCache<T> objects_;
  StoreContact contact_{info(T::kKind).name};
  bool optional_ = false;
  std::string version_;
  bool synced_ = false;
  Handle timer_;
  Handle request_;
};

}  // namespace cw::api
