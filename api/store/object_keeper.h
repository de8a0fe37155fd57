// Brings objects in a store to the state that their writer wants. The writer compares: its step()
// says what one object needs, based on the newest state that the writer knows. It is called just
// before the request, so no wanted object is held here. The keeper does the rest, for all writers:
//  * One request per object is in flight. After the answer the object is compared again, so the
//    last wanted state wins. The keeper has at most `in_flight` requests. Objects that are due go
//    by kind and name.
//  * After a write the cache is older than the store. The object is compared again when the cache
//    shows another state, or after kMaxLag.
//  * A write that loses a race (kConflict, kExists, kNotFound) is no error. The object is compared
//    again when the cache shows another state, or after a backoff. Another error is logged when it
//    comes, changes or ends.
//  * kUnavailable concerns the store: all requests wait for the same backoff.
//  * A write that the store ignores (an older schema prunes a field) is not repeated until the
//    cached or the wanted object changes.
// Loop thread only. Destroying the keeper cancels all answers; a request may still take effect.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "api/store/store.h"
#include "api/types/codec.h"
#include "base/backoff.h"

namespace cw::api {

struct ObjectId {
  Kind kind{};
  ObjectKey key;
  friend auto operator<=>(const ObjectId&, const ObjectId&) = default;
};

enum class Verb { kNone, kRead, kCreate, kUpdate, kStatus, kRemove };

// What an object needs. kNone: nothing now.
struct Step {
  Verb verb = Verb::kNone;
  // The version on which the write is based. Empty: the write is unconditional.
  std::string version{};
  nlohmann::json body{};
  Duration wait{};  // kNone only: compare again after this time. Zero: when look() is called.
};
// `object`, with the resourceVersion in its metadata.
template <typename T>
[[nodiscard]] Step write_step(Verb verb, const T& object) {
  return {verb, object.meta.resource_version, encode(object), {}};
}

struct KeeperLimits {
  std::size_t in_flight = 16;
  Backoff::Duration first = std::chrono::milliseconds(200);  // retry after the first failure
  Backoff::Duration longest = std::chrono::seconds(30);
};

class ObjectKeeper {
 public:
  static constexpr Duration kMaxLag = std::chrono::seconds(10);
  static constexpr std::size_t kSlice = 256;  // objects that one turn of the loop compares

  // The writer's part. No function may destroy the keeper.
  struct Source {
    std::function<Step(const ObjectId&)> step;
    // The state on which step() is based. A new pointer means a new state. Null: no object.
    std::function<std::shared_ptr<const void>(const ObjectId&)> cached;
    // The answer to a step; a removed object has no body. A writer without an informer keeps the
    // answer as its cached state, and reads again after an error. May be empty.
    std::function<void(const ObjectId&, Verb, const Result<Object>&)> on_answer{};
  };

  ObjectKeeper(Loop& loop, Store& store, Random& random, Source source, KeeperLimits limits = {})
      : loop_(loop),
        store_(store),
        random_(random),
        source_(std::move(source)),
        limits_(limits),
        outage_(limits) {}
  ObjectKeeper(const ObjectKeeper&) = delete;
  ObjectKeeper& operator=(const ObjectKeeper&) = delete;

  // The cached or the wanted object may have changed: compares in the next turn. While a failed
  // write waits for its retry, only a change in the cache is compared.
  void look(const ObjectId& id);
  // The wanted object did change: a failed write is retried at once.
  void retry(const ObjectId& id);
  // Forgets all objects; another process writes now.
  void stop();

  // No object waits and no request is in flight.
  [[nodiscard]] bool idle() const { return queue_.empty() && running_ == 0; }
  // Why an object is not as wanted. Empty: all writes succeeded or wait for their first answer.
  [[nodiscard]] std::string error() const;
  [[nodiscard]] std::uint64_t writes() const { return writes_; }  // requests since the start

 private:
  enum class Hold { kNone, kLag, kFailure };  // until `due`, or until the cache differs from `seen`
  struct Entry {
    explicit Entry(const KeeperLimits& limits) : backoff(limits.first, limits.longest) {}
    bool running = false;
    Handle request;
    std::optional<TimePoint> due;  // its place in queue_
    Hold hold = Hold::kNone;
    std::shared_ptr<const void> seen;  // the cached state at the last request
    std::optional<std::size_t> asked;  // hash of the last update, while it runs or was ignored
    Backoff backoff;
    std::string error;
  };
  struct Outage {
    explicit Outage(const KeeperLimits& limits) : backoff(limits.first, limits.longest) {}
    Backoff backoff;
    TimePoint until{};
    std::string error;
  };

  void enqueue(const ObjectId& id, Entry& entry, TimePoint due);
  void arm();
  void pump();
  void compare(const ObjectId& id, Entry& entry);
  [[nodiscard]] Handle request(const ObjectId& id, Step step);
  // By value: the request's handle owns the caller's copies, and it is destroyed here.
  void finish(ObjectId id, Verb verb, std::string based_on, Result<Object> result);
  void succeeded(const ObjectId& id, Entry& entry);
  void failed(const ObjectId& id, Entry& entry, const Error& error);

  Loop& loop_;
  Store& store_;
  Random& random_;
  Source source_;
  KeeperLimits limits_;
  std::map<ObjectId, Entry> entries_;  // objects with something pending or ignored
  std::set<std::pair<TimePoint, ObjectId>> queue_;
  Outage outage_;
  std::size_t running_ = 0;
  std::uint64_t writes_ = 0;
  TimePoint armed_{};
  Handle timer_;
};

}  // namespace cw::api
