// An object that passed the schema and still cannot be read (wrong CIDR, wrong address) gets a
// condition and an Event that say what is wrong, so that its author sees it where he looks.
// Informers keep the last good state meanwhile. Only who holds the Lease reports. Loop thread only.
#pragma once

#include <map>
#include <string>

#include "api/store/events.h"

namespace cw::api {

// `body` with the condition `type` False, reason Invalid; none: it says so already. What cannot be
// read in the status (its author's mistake) is kept as it is. Pure.
[[nodiscard]] std::optional<nlohmann::json> marked_invalid(nlohmann::json body,
                                                           const std::string& type,
                                                           const std::string& message,
                                                           WallTime now);

class BadObjects {
 public:
  // `condition`: the type that says whether such an object counts, e.g. "Accepted".
  BadObjects(Loop& loop, Store& store, EventRecorder& events, Kind kind, std::string condition)
      : loop_(loop), store_(store), events_(events), kind_(kind), type_(std::move(condition)) {}
  BadObjects(const BadObjects&) = delete;
  BadObjects& operator=(const BadObjects&) = delete;

  // Reads the object as it is, writes what is missing. Once a version: the informer calls again.
  void report(const ObjectKey& key, const Error& error);

 private:
  void mark(const ObjectKey& key, const std::string& message, Object object);

  Loop& loop_;
  Store& store_;
  EventRecorder& events_;
  Kind kind_;
  std::string type_;
  std::map<ObjectKey, Handle> reads_;
  std::map<ObjectKey, Handle> writes_;  // apart: what is written is seen before it is answered
};

}  // namespace cw::api
