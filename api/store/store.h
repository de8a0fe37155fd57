// The resource store, the daemons' interface to resources: list, watch and write with Kubernetes'
// resourceVersion semantics. Implementations: dir/ (YAML folder), kube/ (API server),
// fake/MemoryStore. All of them pass tests/api/store_contract.h.
//
// All calls are asynchronous and for the loop thread. A call never calls back before it returned.
// Destroying the returned Handle cancels the callback; the write itself may still happen. Errors
// that callers act on: kConflict (read again), kExpired (list again), kNotFound, kExists, kInvalid
// (the object is wrong), kDenied, kUnavailable (retry with backoff).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/types/meta.h"
#include "base/loop.h"

namespace cw::api {

// One stored resource: the whole JSON object, and copies of the parts that every caller needs.
struct Object {
  Kind kind{};
  ObjectKey key;
  std::string resource_version;
  nlohmann::json body;
};

struct Selector {
  Kind kind{};
  std::string ns;                // empty: all namespaces
  std::string label_selector{};  // "a=b,c=d"; empty: all
  std::string name{};            // only the object with this name; empty: all
};

struct List {
  std::vector<Object> items;
  std::string resource_version;  // where a watch resumes
};

enum class EventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  EventType type = EventType::kAdded;
  Object object;  // a bookmark has only resource_version
};

struct WatchHandler {
  std::function<void(WatchEvent)> on_event;
  // The watch has ended and calls no more. kExpired: list again. Other errors: watch again after a
  // pause.
  std::function<void(Error)> on_end;
  // The store accepted the watch. Called before the first event. May be empty.
  std::function<void()> on_open{};
};

// What is wrong with the store itself now, beside the errors that calls return. For messages.
struct StoreTrouble {
  // Why nothing can be written, and which processes hold the lock. Empty: writes work.
  std::string blocked;
  std::size_t unreadable = 0;  // the number of skipped entries
};

class Store {
 public:
  using ListDone = std::function<void(Result<List>)>;
  using WriteDone = std::function<void(Result<Object>)>;  // the object as stored
  using RemoveDone = std::function<void(Result<>)>;

  virtual ~Store() = default;
  // True: Events are worth writing, because a tool shows them and old ones are removed.
  [[nodiscard]] virtual bool keeps_events() const { return false; }
  [[nodiscard]] virtual StoreTrouble trouble() const { return {}; }
  [[nodiscard]] virtual Handle list(const Selector& selector, ListDone done) = 0;
  // Lists in pages, for a caller that need not hold all JSON at once. `first`: drop all pages so
  // far. This is the first page, or the list restarted because its version expired. `done` gets no
  // items.
  using PageDone = std::function<void(std::vector<Object> items, bool first)>;
  [[nodiscard]] virtual Handle list_pages(const Selector& selector, PageDone on_page,
                                          ListDone done) {
    return list(selector, [page = std::move(on_page), over = std::move(done)](Result<List> all) {
      const auto call = over;  // the callback may destroy the handle that owns this closure
      if (all) page(std::exchange(all->items, {}), true);
      call(std::move(all));
    });
  }
  // Events after `resource_version`, in order and complete. on_end(kExpired): the version is too
  // old.
  [[nodiscard]] virtual Handle watch(const Selector& selector, const std::string& resource_version,
                                     WatchHandler handler) = 0;
  [[nodiscard]] virtual Handle get(Kind kind, const ObjectKey& key, WriteDone done) = 0;
  // kExists: the object exists. The store sets uid, resourceVersion, creationTimestamp, generation.
  [[nodiscard]] virtual Handle create(Object object, WriteDone done) = 0;
  // Replaces everything except the status. kConflict: `resource_version` is not the stored one.
  // Without a resource_version the write is unconditional. An update that changes nothing gives no
  // event and the same version.
  [[nodiscard]] virtual Handle update(Object object, WriteDone done) = 0;
  // Replaces only the status. Conflicts as in update().
  [[nodiscard]] virtual Handle update_status(Object object, WriteDone done) = 0;
  // kNotFound: there is no such object. kConflict: `resource_version` is given and not the stored
  // one.
  [[nodiscard]] virtual Handle remove(Kind kind, const ObjectKey& key,
                                      const std::string& resource_version, RemoveDone done) = 0;
};

}  // namespace cw::api
