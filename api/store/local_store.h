// The Store's semantics over a backend that can read, write and erase whole objects: versions,
// conflicts, generations, watches. The directory and memory stores are this plus a backend.
//
// The table is what watchers have been told; the backend is the truth. A write checks against a
// fresh read under the backend's lock, so several processes may share one backend; what others
// changed comes in through observe(). The backend may be slow: all its work goes through RunWork,
// which may use another thread. Everything else here is for the loop thread.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "api/store/watch_log.h"

namespace cw::api {

class Backend {
 public:
  virtual ~Backend() = default;
  // Held over a read-check-write; destroying it unlocks.
  [[nodiscard]] virtual Result<std::shared_ptr<void>> lock() = 0;
  // Nothing: there is no such object. kInvalid: there is one, but it is broken.
  [[nodiscard]] virtual Result<std::optional<nlohmann::json>> read(Kind kind,
                                                                   const ObjectKey& key) = 0;
  // kConflict: somebody without the lock changed it since it was read; nothing was done.
  [[nodiscard]] virtual Result<> write(Kind kind, const ObjectKey& key,
                                       const nlohmann::json& body) = 0;
  [[nodiscard]] virtual Result<> erase(Kind kind, const ObjectKey& key) = 0;
};

// Runs `work` once, perhaps on another thread, in the order of the calls. Runs what it returns on
// the loop thread afterwards. False: too much waits already, `work` is dropped.
using Work = std::function<std::function<void()>()>;
using RunWork = std::function<bool(Work work)>;

class LocalStore : public Store {
 public:
  // Without `run` the backend is used at once, on the calling thread.
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

  // The object is now `body` (nothing: gone); tells watchers if that is news.
  void observe(Kind kind, const ObjectKey& key, const std::optional<nlohmann::json>& body);
  void observe(Object object);  // the same, of an object_of()
  // Everything answers `why` and all watches end with it, until available() is called.
  void unavailable(const Error& why);
  void available();
  // Watches must list again.
  void expire_watches();
  [[nodiscard]] std::vector<ObjectKey> keys(Kind kind) const;

 private:
  // What the backend's work came to, and what the object is then (none: as before).
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
  // Calls `done(result)` in the next turn unless the handle goes first.
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

// A content hash as resourceVersion; `body` without its own resourceVersion.
[[nodiscard]] std::string version_of(nlohmann::json body);
// `body` with its version. Any thread.
[[nodiscard]] Object object_of(Kind kind, const ObjectKey& key, nlohmann::json body);

}  // namespace cw::api
