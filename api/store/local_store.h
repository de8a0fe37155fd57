// The Store's semantics over a backend that reads, writes and erases whole objects: versions,
// conflicts, generations, watches. The directory store and the memory store are this plus a
// backend.
//
// The table holds what watchers have been told. The backend holds the actual objects. A write
// compares with a fresh read under the backend's lock, so several processes may share a backend.
// Changes by other processes arrive through observe(). The backend may be slow: all its work goes
// through RunWork, which may use another thread. Everything else here is for the loop thread.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "api/store/watch_log.h"

namespace cw::api {

class Backend {
 public:
  virtual ~Backend() = default;
  // Held during read, check and write. Destroying the value unlocks.
  [[nodiscard]] virtual Result<std::shared_ptr<void>> lock() = 0;
  // No value: there is no such object. kInvalid: the object is broken.
  [[nodiscard]] virtual Result<std::optional<nlohmann::json>> read(Kind kind,
                                                                   const ObjectKey& key) = 0;
  // kConflict: another program changed the object without the lock since it was read. Nothing was
  // written.
  [[nodiscard]] virtual Result<> write(Kind kind, const ObjectKey& key,
                                       const nlohmann::json& body) = 0;
  [[nodiscard]] virtual Result<> erase(Kind kind, const ObjectKey& key) = 0;
};

// Runs `work` once, possibly on another thread, in the order of the calls. Afterwards runs the
// returned closure on the loop thread. False: the queue is full, and `work` is dropped.
using Work = std::function<std::function<void()>()>;
using RunWork = std::function<bool(Work work)>;

class LocalStore : public Store {
 public:
  // Without `run`, the backend is called at once on the calling thread.
  LocalStore(Loop& loop, Random& random, Backend& backend, RunWork run = {});

  [[nodiscard]] Handle list(const Selector& selector, ListDone done) override;
  [[nodiscard]] Handle watch(const Selector& selector, const std::string& resource_version,
                             WatchHandler handler) override;
  [[nodiscard]] Handle get(Kind kind, const ObjectKey& key, WriteDone done) override;
  [[nodiscard]] Handle create(Object object, WriteDone done) override;
  [[nodiscard]] Handle update(Object object, WriteDone done) override;
  [[nodiscard]] Handle update_status(Object object, WriteDone done) override;
  [[nodiscard]] Handle remove(Kind kind, const ObjectKey& key, const std::string& resource_version,
                              RemoveDone done) override;

  // The object is now `body`. No value: it is gone. Tells watchers if that is a change.
  void observe(Kind kind, const ObjectKey& key, const std::optional<nlohmann::json>& body);
  void observe(Object object);  // the same, for the result of object_of()
  // Until available() is called, all calls fail with `why`. All watches end with it.
  void unavailable(const Error& why);
  void available();
  [[nodiscard]] std::vector<ObjectKey> keys(Kind kind) const;

 private:
  // The result of the backend's work, and the object after it. No `stored`: it is unchanged.
  template <typename T>
  struct Outcome {
    Result<T> result;
    std::optional<Object> stored{};
    bool gone = false;
  };
  using Merge = nlohmann::json (*)(const nlohmann::json& stored, const nlohmann::json& next);
  struct Writes;
  Handle change(Object object, WriteDone done, Merge merge);
  template <typename T, typename Done>
  Handle perform(Kind kind, const ObjectKey& key, std::function<Outcome<T>(Backend&)> work,
                 Done done);
  // Calls `done(result)` in the next turn, unless the handle is destroyed first.
  template <typename T, typename Done>
  Handle later(T result, Done done);

  Loop& loop_;
  Random& random_;
  Backend& backend_;
  RunWork run_;
  std::optional<Error> away_;
  std::map<Kind, std::map<ObjectKey, Object>> table_;
  std::map<Kind, std::unique_ptr<WatchLog>> logs_;
};

// A content hash that serves as resourceVersion. It leaves out `body`'s own resourceVersion.
[[nodiscard]] std::string version_of(nlohmann::json body);
// `body` with its version. Any thread.
[[nodiscard]] Object object_of(Kind kind, const ObjectKey& key, nlohmann::json body);

}  // namespace cw::api
