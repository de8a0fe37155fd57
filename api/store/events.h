// Kubernetes Events (core/v1 Event), which `kubectl describe` shows beside an object's conditions.
// Best effort and bounded: an Event that cannot be written is lost; log and conditions still have
// it. A store that keeps no Events (a folder of files) gets none. Loop thread only.
#pragma once

#include <list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "api/store/store.h"
#include "base/random.h"

namespace cw::api {

struct Note {
  bool warning = false;
  std::string reason;   // CamelCase
  std::string message;  // one sentence
  friend bool operator==(const Note&, const Note&) = default;
};

// The notes for a change from `before` to `after`: a condition became bad, is bad for another
// reason, or is good again. A condition that waits ("Pending") or is good from the start gives
// none. Pure.
[[nodiscard]] std::vector<Note> notes_of(std::span<const Condition> before,
                                         std::span<const Condition> after);

inline constexpr std::size_t kMaxEventMessage = 1024;  // the API server's limit

// The source of an Event: the program, and which instance of it (the node or pod).
struct EventSource {
  std::string component;
  std::string instance;
};
// How often something happened, and when.
struct EventSpan {
  WallTime first{};
  WallTime last{};
  std::size_t count = 1;
};
// The Event object about `about`. `unique` makes its name unique. Pure.
[[nodiscard]] Object event_object(Kind kind, const ObjectMeta& about, const EventSource& source,
                                  const Note& note, const EventSpan& span, std::uint64_t unique);

class EventRecorder {
 public:
  static constexpr std::size_t kBurst = 25;                     // Events at once; then one per
  static constexpr Duration kRefill = std::chrono::seconds(5);  // this time
  static constexpr Duration kRepeat = std::chrono::minutes(5);  // before the same again
  static constexpr std::size_t kMaxMessage = kMaxEventMessage;

  // `component`: the program's name. `instance`: the node or pod.
  EventRecorder(Loop& loop, Store& store, Random& random, std::string component,
                std::string instance);
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void record(Kind kind, const ObjectMeta& about, const Note& note);

 private:
  [[nodiscard]] bool allowed(const std::string& what);

  Loop& loop_;
  Store& store_;
  Random& random_;
  EventSource source_;
  std::size_t tokens_ = kBurst;
  TimePoint refilled_;
  std::map<std::string, TimePoint> told_;  // what was written, and when
  std::list<Handle> writes_;
  std::vector<std::list<Handle>::iterator> over_;  // finished; removed at the next record()
};

}  // namespace cw::api
