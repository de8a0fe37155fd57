// A cache of one kind that keeps itself current. It lists and watches, and lists again when its
// version has expired. After an outage of the store it resumes the watch, with a backoff. So
// thousands of objects are not fetched again because a server restarted. An object that does not
// decode keeps its last good state and is reported once per version through on_bad. The cache holds
// decoded values only, no JSON.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "api/store/object.h"
#include "api/store/store.h"
#include "api/types/codec.h"
#include "base/backoff.h"
#include "base/log.h"

namespace cw::api {

template <typename T>
class Informer {
 public:
  using Items = std::map<ObjectKey, std::shared_ptr<const T>>;
  // Called after each change of items(), and when synced() or available() changed.
  using OnChange = std::function<void()>;
  using OnBad = std::function<void(const ObjectKey&, const Error&)>;

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
  void set_on_bad(OnBad on_bad) { on_bad_ = std::move(on_bad); }
  // `trim` removes from each object what this process never reads, before it is stored: 10,000
  // Services with their annotations take many megabytes. Not for objects that are written back
  // whole.
  void set_trim(std::function<void(T&)> trim) { trim_ = std::move(trim); }
  // From now on the informer remembers which objects changed. take_changes() returns them and
  // forgets them. An object that a list shows in its known version did not change.
  void track_changes() { tracks_ = true; }
  // An object whose newest version does not decode: the reason, and its labels for look-ups.
  struct Unreadable {
    std::string why;
    std::map<std::string, std::string> labels;
    friend bool operator==(const Unreadable&, const Unreadable&) = default;
  };
  // Null: the object decodes, or does not exist. A change of this value counts as a change of the
  // object.
  [[nodiscard]] const Unreadable* unreadable(const ObjectKey& key) const {
    const auto found = unreadable_.find(key);
    return found == unreadable_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::set<ObjectKey> take_changes() { return std::exchange(changes_, {}); }
  [[nodiscard]] const Items& items() const { return items_; }
  [[nodiscard]] std::shared_ptr<const T> find(const ObjectKey& key) const {
    const auto found = items_.find(key);
    return found == items_.end() ? nullptr : found->second;
  }
  [[nodiscard]] bool synced() const { return synced_; }        // has listed at least once
  [[nodiscard]] bool available() const { return available_; }  // the store answers
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  void relist() {
    begin_list();
    request_ = store_.list_pages(
        selector_, [this](const std::vector<Object>& page, bool first) { take_page(page, first); },
        [this](const Result<List>& result) { take_list(result); });
  }

  void take_page(const std::vector<Object>& page, bool first) {
    if (first) begin_list();
    for (const auto& object : page) {
      auto value = decoded(object, fresh_unreadable_);
      if (value == nullptr) value = find(object.key);  // keep the last good state
      if (value != nullptr) fresh_.emplace(object.key, std::move(value));
    }
  }

  void take_list(const Result<List>& result) {
    if (!result && optional_ && result.error().code == Errc::kNotFound) return take_absence();
    if (!result) return retry_later(result.error(), [this] { relist(); });
    const auto before = std::exchange(items_, std::exchange(fresh_, {}));
    for (auto& [key, object] : items_) {
      const auto was = before.find(key);
      if (was != before.end() && same_version(*was->second, *object)) {
        object = was->second;
      } else {
        note(key);
      }
    }
    for (const auto& [key, object] : before) {
      if (items_.count(key) == 0) note(key);
    }
    const auto could_not = std::exchange(unreadable_, std::exchange(fresh_unreadable_, {}));
    for (const auto& [key, why] : unreadable_) {
      const auto was = could_not.find(key);
      if (was == could_not.end() || !(was->second == why)) note(key);
    }
    for (const auto& [key, why] : could_not) {
      if (unreadable_.count(key) == 0) note(key);
    }
    version_ = result->resource_version;
    synced_ = true;
    came_back();
    start_watch();
    on_change_();
  }

  void take_absence() {
    const bool changed = !synced_ || !items_.empty() || !available_;
    for (const auto& [key, object] : items_) note(key);
    items_.clear();
    unreadable_.clear();
    synced_ = true;
    came_back();
    timer_ = loop_.after(kLookAgain, [this] { relist(); });
    if (changed) on_change_();
  }

  void start_watch() {
    WatchHandler handler;
    handler.on_event = [this](WatchEvent event) { take_event(std::move(event)); };
    handler.on_end = [this](const Error& error) {
      if (error.code == Errc::kExpired || (optional_ && error.code == Errc::kNotFound)) {
        timer_ = loop_.after(Duration::zero(), [this] { relist(); });
      } else {
        if (opened_ && loop_.now() - *opened_ >= kStood) backoff_.reset();
        retry_later(error, [this] { start_watch(); });
      }
    };
    // The backoff is reset only when a watch stood for kStood or an event arrived. A watch may open
    // and break at once, so opening alone does not reset it.
    opened_.reset();
    handler.on_open = [this] {
      opened_ = loop_.now();
      if (became_available()) on_change_();
    };
    request_ = store_.watch(selector_, version_, std::move(handler));
  }

  void take_event(WatchEvent event) {
    came_back();
    version_ = event.object.resource_version;
    if (event.type == EventType::kBookmark) return;
    if (event.type == EventType::kDeleted) {
      items_.erase(event.object.key);
      unreadable_.erase(event.object.key);
    } else if (auto value = decoded(event.object, unreadable_); value != nullptr) {
      items_[event.object.key] = std::move(value);
    }
    note(event.object.key);
    on_change_();
  }

  static bool same_version(const T& a, const T& b) {
    if constexpr (requires { a.meta.resource_version; }) {
      return !a.meta.resource_version.empty() &&
             a.meta.resource_version == b.meta.resource_version && a.meta.uid == b.meta.uid;
    } else {
      return false;
    }
  }

  void note(const ObjectKey& key) {
    if (tracks_) changes_.insert(key);
  }

  void begin_list() {
    fresh_.clear();
    fresh_unreadable_.clear();
  }

  std::shared_ptr<const T> decoded(const Object& object,
                                   std::map<ObjectKey, Unreadable>& unreadable) {
    auto value = decode<T>(object.body);
    if (value) {
      unreadable.erase(object.key);
      if (trim_) trim_(*value);
      return std::make_shared<const T>(std::move(*value));
    }
    log_warn("object cannot be read; its last good state is kept",
             {{"kind", info(T::kKind).name},
              {"name", object.key.to_string()},
              {"error", value.error().text}});
    unreadable[object.key] = {value.error().text, text_labels(object.body)};
    if (on_bad_) on_bad_(object.key, value.error());
    return nullptr;
  }

  void came_back() {
    backoff_.reset();
    (void)became_available();  // the caller calls on_change_
  }

  bool became_available() {
    if (available_) return false;
    available_ = true;
    if (!last_error_.empty()) log_info("store is back", {{"kind", info(T::kKind).name}});
    last_error_.clear();
    return true;
  }

  void retry_later(const Error& error, Loop::Callback again) {
    if (available_ || last_error_ != error.text) {
      log_warn("store is away", {{"kind", info(T::kKind).name}, {"error", error.text}});
    }
    const bool changed = available_;
    available_ = false;
    last_error_ = error.text;
    timer_ = loop_.after(backoff_.next(random_), std::move(again));
    if (changed) on_change_();
  }

  Loop& loop_;
  Store& store_;
  Random& random_;
  OnChange on_change_;
  OnBad on_bad_;
  std::function<void(T&)> trim_;
  Selector selector_;
  Items items_;
  Items fresh_;  // pages of a list that is not complete yet
  std::map<ObjectKey, Unreadable> unreadable_;
  std::map<ObjectKey, Unreadable> fresh_unreadable_;
  std::set<ObjectKey> changes_;
  bool tracks_ = false;
  bool optional_ = false;
  std::string version_;
  std::string last_error_;
  bool synced_ = false;
  bool available_ = false;
  // At most 10 s: a server that is back is asked soon. With jitter the watches of 1,000 nodes still
  // arrive spread out. They resume, so they list nothing.
  static constexpr auto kLookAgain = std::chrono::seconds(60);
  static constexpr auto kStood = std::chrono::seconds(10);
  Backoff backoff_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
  std::optional<TimePoint> opened_;  // when the server accepted the last watch
  Handle timer_;
  Handle request_;
};

}  // namespace cw::api
