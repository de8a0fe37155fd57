// Turns changes of conditions into Events on their objects. It reads an informer's cache, so any
// writer's conditions are covered. One process per cluster reports: the holder of the Lease.
#pragma once

#include <memory>
#include <optional>

#include "api/store/events.h"
#include "api/store/informer.h"

namespace cw::api {

template <typename T>
class ConditionEvents {
 public:
  ConditionEvents(Loop& loop, EventRecorder& recorder, const Informer<T>& cache)
      : loop_(loop), recorder_(recorder), cache_(cache) {}
  ConditionEvents(const ConditionEvents&) = delete;
  ConditionEvents& operator=(const ConditionEvents&) = delete;

  // Call after changes of the cache, or of `tell`: whether this process reports. The state at the
  // first comparison is the starting point and gives no Events. Changes within 500 ms are compared
  // together.
  void look(bool tell) {
    if (!tell) {
      soon_.reset();
      seen_.reset();
    } else if (!soon_.active()) {
      soon_ = loop_.after(std::chrono::milliseconds(500), [this] { compare(); });
    }
  }

 private:
  void compare() {
    soon_.reset();
    const bool first = !seen_;
    const auto before = std::move(seen_).value_or(typename Informer<T>::Items{});
    seen_ = cache_.items();
    if (first) return;
    for (const auto& [key, object] : cache_.items()) {
      const auto was = before.find(key);
      std::span<const Condition> conditions;
      if (was != before.end()) {
        if (was->second == object) continue;
        conditions = was->second->status.conditions;
      }
      for (const auto& note : notes_of(conditions, object->status.conditions)) {
        recorder_.record(T::kKind, object->meta, note);
      }
    }
  }

  Loop& loop_;
  EventRecorder& recorder_;
  const Informer<T>& cache_;
  std::optional<typename Informer<T>::Items> seen_;
  Handle soon_;
};

}  // namespace cw::api
