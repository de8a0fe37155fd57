// The objects of one kind as an Informer knows them: decoded values, no JSON. An object that does
// not decode keeps its last good state, and is reported once per version. It remembers which
// objects changed if the owner wants to know.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/store/object.h"
#include "api/store/store.h"
#include "api/types/codec.h"
#include "base/log.h"

namespace cw::api {

template <typename T>
class ObjectCache {
 public:
  using Items = std::map<ObjectKey, std::shared_ptr<const T>>;
  using OnBad = std::function<void(const ObjectKey&, const Error&)>;
  // An object whose newest version does not decode: the reason, and its labels for look-ups.
  struct Unreadable {
    std::string why;
    std::map<std::string, std::string> labels;
    friend bool operator==(const Unreadable&, const Unreadable&) = default;
  };

  // As the Informer's functions of these names.
  void set_on_bad(OnBad on_bad) { on_bad_ = std::move(on_bad); }
  void set_trim(std::function<void(T&)> trim) { trim_ = std::move(trim); }
  void track_changes() { tracks_ = true; }
  [[nodiscard]] const Items& items() const { return known_.items; }
  [[nodiscard]] std::shared_ptr<const T> find(const ObjectKey& key) const {
    const auto found = known_.items.find(key);
    return found == known_.items.end() ? nullptr : found->second;
  }
  [[nodiscard]] const Unreadable* unreadable(const ObjectKey& key) const {
    const auto found = known_.unreadable.find(key);
    return found == known_.unreadable.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::set<ObjectKey> take_changes() { return std::exchange(changes_, {}); }

  // A list comes in pages. Until end_list() nothing of it is visible.
  void begin_list() { listed_ = {}; }
  void add_page(const std::vector<Object>& page) {
    for (const auto& object : page) {
      auto value = decoded(object, listed_);
      if (value == nullptr) value = find(object.key);  // keep the last good state
      if (value != nullptr) listed_.items.emplace(object.key, std::move(value));
    }
  }
  // The list is complete. Objects that it did not show are gone. An object in its known version did
  // not change.
  void end_list() {
    const auto before = std::exchange(known_, std::exchange(listed_, {}));
    for (auto& [key, object] : known_.items) {
      const auto was = before.items.find(key);
      if (was != before.items.end() && same_version(*was->second, *object)) {
        object = was->second;
      } else {
        record_change(key);
      }
    }
    for (const auto& [key, object] : before.items) {
      if (known_.items.count(key) == 0) record_change(key);
    }
    for (const auto& [key, why] : known_.unreadable) {
      const auto was = before.unreadable.find(key);
      if (was == before.unreadable.end() || !(was->second == why)) record_change(key);
    }
    for (const auto& [key, why] : before.unreadable) {
      if (known_.unreadable.count(key) == 0) record_change(key);
    }
  }
  // There are no objects of this kind.
  void clear() {
    for (const auto& [key, object] : known_.items) record_change(key);
    known_ = {};
  }
  // An event of a watch, but no bookmark.
  void apply(const WatchEvent& event) {
    const auto& key = event.object.key;
    if (event.type == EventType::kDeleted) {
      known_.items.erase(key);
      known_.unreadable.erase(key);
    } else if (auto value = decoded(event.object, known_); value != nullptr) {
      known_.items[key] = std::move(value);
    }
    record_change(key);
  }

 private:
  struct Objects {
    Items items;
    std::map<ObjectKey, Unreadable> unreadable;
  };

  static bool same_version(const T& a, const T& b) {
    if constexpr (requires { a.meta.resource_version; }) {
      return !a.meta.resource_version.empty() &&
             a.meta.resource_version == b.meta.resource_version && a.meta.uid == b.meta.uid;
    } else {
      return false;
    }
  }

  void record_change(const ObjectKey& key) {
    if (tracks_) changes_.insert(key);
  }

  std::shared_ptr<const T> decoded(const Object& object, Objects& into) {
    auto value = decode<T>(object.body);
    if (value) {
      into.unreadable.erase(object.key);
      if (trim_) trim_(*value);
      return std::make_shared<const T>(std::move(*value));
    }
    log_warn("object cannot be read; its last good state is kept",
             {{"kind", info(T::kKind).name},
              {"name", object.key.to_string()},
              {"error", value.error().text}});
    into.unreadable[object.key] = {value.error().text, text_labels(object.body)};
    if (on_bad_) on_bad_(object.key, value.error());
    return nullptr;
  }

  OnBad on_bad_;
  std::function<void(T&)> trim_;
  bool tracks_ = false;
  Objects known_;
  Objects listed_;  // pages of a list that is not complete yet
  std::set<ObjectKey> changes_;
};

}  // namespace cw::api
