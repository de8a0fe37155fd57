// Reports an object that passed the schema and still cannot be read (wrong CIDR, wrong address). It
// gets a condition and an Event that say what is wrong, so that its author sees it on the object.
// Informers keep the last good state meanwhile. Only the holder of the Lease reports. Loop thread
// only.
#pragma once

#include <map>
#include <string>

#include "api/store/events.h"

namespace cw::api {

// `body` with condition `type` set to False, reason Invalid. No value: the condition is there
// already, or metadata or conditions cannot be read. The rest of the status is kept as it is. Pure.
[[nodiscard]] std::optional<nlohmann::json> marked_invalid(nlohmann::json body,
                                                           const std::string& type,
                                                           const std::string& message,
                                                           WallTime now);

class BadObjects {
 public:
  // `condition`: the type that tells whether such an object counts, e.g. "Accepted".
  BadObjects(Loop& loop, Store& store, EventRecorder& events, Kind kind, std::string condition)
      : loop_(loop), store_(store), events_(events), kind_(kind), type_(std::move(condition)) {}
  BadObjects(const BadObjects&) = delete;
  BadObjects& operator=(const BadObjects&) = delete;

  // Reads the object, and writes the condition if it is missing. The informer calls this once per
  // version.
  void report(const ObjectKey& key, const Error& error);

 private:
  void mark(const ObjectKey& key, const std::string& message, Object object);

  Loop& loop_;
  Store& store_;
  EventRecorder& events_;
  Kind kind_;
  std::string type_;
  std::map<ObjectKey, Handle> reads_;
  std::map<ObjectKey, Handle> writes_;  // separate from reads_: the informer may show a write, and
                                        // report() read again, before its answer
};

}  // namespace cw::api
