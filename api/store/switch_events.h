// Tells of switches of traffic as Events on one object: what went from where to where, why and
// when. Nothing waits for it. What comes within a moment is one Event, and Events of what goes on
// switching come ever less often, with counts, so that flapping floods nothing; a thousand nodes
// that switch at once do not write at once. While the API is away a bounded number of kinds of
// switches is kept, the newest; they are written when it is back. Loop thread only.
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
  bool warning = false;   // something broke
  std::size_t count = 1;  // so many at once
};

// What was not told yet; the same again is a count. Pure.
class SwitchDigest {
 public:
  static constexpr std::size_t kMost = 16;  // kinds; beyond it the oldest goes

  void add(const SwitchNote& note);
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  // What is in it, oldest first, as one Event; then it is empty.
  struct Told {
    Note note;
    EventSpan span;
  };
  [[nodiscard]] Told told() const;
  // What `older` holds comes before what is in here.
  void put_back(const SwitchDigest& older);

 private:
  struct Entry {
    SwitchNote note;  // the last such
    WallTime first{};
  };
  void merge(Entry entry);

  std::list<Entry> entries_;  // by when they were last
  std::size_t forgotten_ = 0;
};

class SwitchEvents {
 public:
  static constexpr Duration kGather = std::chrono::seconds(1);
  static constexpr Duration kSpread = std::chrono::seconds(4);  // at random beside it
  static constexpr std::chrono::seconds kLongest{64};

  // `about`: the object as the store has it now; none: it is not there yet.
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
  Duration gap_ = kGather;  // to the next Event
  TimePoint quiet_since_{};
  Backoff backoff_{std::chrono::seconds(1), kLongest};
  Handle timer_;
  Handle request_;
};

}  // namespace cw::api
