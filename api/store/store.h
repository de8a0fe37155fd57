// The resource store: the daemons' one window on the world. List, watch and write resources with
// Kubernetes' resourceVersion semantics. Implementations: dir/ (YAML folder), kube/ (API server),
// fake/MemoryStore. All pass tests/api/store_contract.h.
//
// Everything is asynchronous and on the loop thread: a call never calls back before it returned,
// and destroying the returned Handle cancels the callback (the write itself may still happen).
// Errors that callers act on: kConflict (read again), kExpired (list again), kNotFound, kExists,
// kInvalid (the object is wrong), kDenied, kUnavailable (retry with backoff).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/types/meta.h"
#include "base/loop.h"

namespace cw::api {

// One resource as stored: the whole JSON object, with the parts every caller needs taken out.
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
  std::string name{};            // only the object so called; empty: all
};

struct List {
  std::vector<Object> items;
  std::string resource_version;  // where a watch continues
};

enum class EventType { kAdded, kModified, kDeleted, kBookmark };

struct WatchEvent {
  EventType type = EventType::kAdded;
  Object object;  // of a bookmark: only resource_version
};

struct WatchHandler {
  std::function<void(WatchEvent)> on_event;
  // The watch is over and calls no more; kExpired: list again, others: watch again after a pause.
  std::function<void(Error)> on_end;
  // The store answers: the watch stands. Before the first event; may be empty.
  std::function<void()> on_open{};
};

// What is wrong with the store itself now, beside the errors that calls return. For people.
struct StoreTrouble {
  std::string blocked;         // why nothing can be written, and who holds it; empty: it can
  std::size_t unreadable = 0;  // entries that are skipped
};

class Store {
 public:
  using ListDone = std::function<void(Result<List>)>;
  using WriteDone = std::function<void(Result<Object>)>;  // the object as stored
  using RemoveDone = std::function<void(Result<>)>;

  virtual ~Store() = default;
  // Whether Events are worth writing: something shows them and forgets old ones.
  [[nodiscard]] virtual bool keeps_events() const { return false; }
  [[nodiscard]] virtual StoreTrouble trouble() const { return {}; }
  [[nodiscard]] virtual Handle list(const Selector& selector, ListDone done) = 0;
  // In pieces, for who need not hold everything as JSON at once. With `first`, what came before
  // does not count: it is the first page, or a version was lost on the way. `done` gets no items.
  using PageDone = std::function<void(std::vector<Object> items, bool first)>;
  [[nodiscard]] virtual Handle list_pages(const Selector& selector, PageDone on_page,
                                          ListDone done) {
    return list(selector, [page = std::move(on_page), over = std::move(done)](Result<List> all) {
      const auto call = over;  // it may drop the handle that owns this closure
      if (all) page(std::exchange(all->items, {}), true);
      call(std::move(all));
    });
  }
  // Events after `resource_version`, in order, none lost; on_end(kExpired) if it is too old.
  [[nodiscard]] virtual Handle watch(const Selector& selector, const std::string& resource_version,
                                     WatchHandler handler) = 0;
  [[nodiscard]] virtual Handle get(Kind kind, const ObjectKey& key, WriteDone done) = 0;
  // kExists if there is one. The store sets uid, resourceVersion, creationTimestamp, generation.
  [[nodiscard]] virtual Handle create(Object object, WriteDone done) = 0;
  // Replaces everything but the status. kConflict unless resource_version is the stored one; an
  // empty resource_version replaces whatever is there. No change: no event, same version.
  [[nodiscard]] virtual Handle update(Object object, WriteDone done) = 0;
  // Replaces only the status; conflicts as update().
  [[nodiscard]] virtual Handle update_status(Object object, WriteDone done) = 0;
  // kConflict if `resource_version` is given and not the stored one; kNotFound if there is none.
  [[nodiscard]] virtual Handle remove(Kind kind, const ObjectKey& key,
                                      const std::string& resource_version, RemoveDone done) = 0;
};

}  // namespace cw::api
