// Reports switches of traffic as Events on one object: what moved, from where, to where, why and
// when. No traffic waits for an Event. Switches within a moment form one Event. If switching goes
// on, the Events come ever less often, with counts. So flapping causes no flood, and a thousand
// nodes that switch at once do not write at once. While the API is unavailable, a bounded number of
// different switches is kept, the newest ones. They are written once it is available again. Loop
// thread only.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <string>

#include "api/store/events.h"
#include "base/backoff.h"

namespace cw::api {

struct SwitchNote {
  std::string what;    // "traffic to west, IPv4"
  std::string from;    // "gateway 0"
  std::string to;      // "gateway 1"
  std::string reason;  // "gateway 0 is down"
  WallTime when{};
  bool warning = false;   // caused by a failure
  std::size_t count = 1;  // equal switches, as one note
};

// The switches that were not yet reported. Equal ones are counted as one. Pure.
class SwitchDigest {
 public:
  // Different switches. Beyond it the oldest one is only counted.
  static constexpr std::size_t kMost = 16;

  void add(const SwitchNote& note);
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // All switches as one Event, the newest first.
  struct Told {
    Note note;
    EventSpan span;
  };
  [[nodiscard]] Told told() const;
  // Adds the contents of `older` before the contents of this one.
  void put_back(const SwitchDigest& older);

 private:
  struct Entry {
    SwitchNote note;  // the last of these equal switches
    WallTime first{};
  };
  void merge(Entry entry);

  std::list<Entry> entries_;  // in the order of their last occurrence
  std::size_t forgotten_ = 0;
};

// When the next Event is written. If switching goes on, the gaps double. Pure: time and randomness
// are arguments.
class SwitchPace {
 public:
  static constexpr Duration kGather = std::chrono::seconds(1);
  static constexpr Duration kSpread = std::chrono::seconds(4);  // plus a random part of this
  static constexpr std::chrono::seconds kLongest{64};

  // The first switch after a quiet time: the delay until its Event.
  [[nodiscard]] Duration first(TimePoint now, Random& random);
  void written(TimePoint now);  // an Event, or an attempt
  [[nodiscard]] Duration gap() const { return gap_; }

 private:
  Duration gap_ = kGather;  // until the next Event
  TimePoint quiet_since_{};
};

class SwitchEvents {
 public:
  // `about`: the object as the store has it now. No value: it does not exist yet.
  using About = std::function<std::optional<ObjectMeta>()>;
  SwitchEvents(Loop& loop, Store& store, Random& random, EventSource source, Kind kind,
               About about);
  SwitchEvents(const SwitchEvents&) = delete;
  SwitchEvents& operator=(const SwitchEvents&) = delete;

  void add(const SwitchNote& note);

 private:
  void schedule(Duration delay);
  void write();
  void written(const Result<Object>& result);

  Loop& loop_;
  Store& store_;
  Random& random_;
  EventSource source_;
  Kind kind_;
  About about_;
  SwitchDigest waiting_;
  std::optional<SwitchDigest> writing_;
  SwitchPace pace_;
  Backoff backoff_{std::chrono::seconds(1), SwitchPace::kLongest};
  Handle timer_;
  Handle request_;
};

}  // namespace cw::api
