// Writes ServiceImports, derived Services, EndpointSlices and the conditions of ServiceExports to
// the store until they are as wanted. It is told which wishes and caches changed, and looks only at
// those. At most kInFlight writes run; the others wait in a queue. A failed write is retried after
// a pause that grows up to kMostRetry, or when its object changes. Only the holder of the discovery
// Lease writes. Foreign objects are never touched.
#pragma once

#include <map>
#include <set>

#include "api/store/informer.h"
#include "discovery/mcs/derived.h"

namespace cw::discovery {

struct Caches {
  const api::Informer<api::ServiceImport>& imports;
  const api::Informer<api::ServiceExport>& exports;
  const api::Informer<api::Service>& services;
  const api::Informer<api::EndpointSlice>& slices;
};

class ObjectWriter {
 public:
  static constexpr std::size_t kInFlight = 16;
  static constexpr Duration kFirstRetry = std::chrono::milliseconds(300);
  static constexpr Duration kMostRetry = std::chrono::seconds(10);
  static constexpr Duration kMaxLag = std::chrono::seconds(10);  // then compared without an event
  ObjectWriter(Loop& loop, api::Store& store, Caches caches)
      : loop_(loop), store_(store), caches_(caches) {}

  // The objects that a service should have. Empty: none.
  void want(const api::ObjectKey& service, DesiredService desired);
  // The conditions that a ServiceExport should have. Empty: none.
  void want(const api::ObjectKey& service, std::vector<api::Condition> conditions);
  // Call when the cached object changed.
  void look(api::Kind kind, const api::ObjectKey& key);
  // Call when want() was called for all services for the first time. Then Causeway's other objects
  // in the caches are removed.
  void adopt();
  void pump();  // call after the calls above
  // True: other writes are more urgent for the API server, so creations wait.
  void defer_creates(bool others);
  void stop();  // another replica writes now
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  using Id = std::pair<api::Kind, api::ObjectKey>;
  // One write. kNone: the object is as wanted.
  struct Step {
    enum class What { kNone, kCreate, kUpdate, kStatus, kRemove } what = What::kNone;
    std::string version;  // of the object on which the write is based
    nlohmann::json body;
  };
  [[nodiscard]] Step step_of(const Id& id) const;
  [[nodiscard]] Step import_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step service_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step slice_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step export_step(const api::ObjectKey& key) const;
  [[nodiscard]] std::shared_ptr<const void> cached(const Id& id) const;
  void start(const Id& id, Step step);
  // `seen`: the cached object when the write began. Its event may arrive before its answer.
  void finish(const Id& id, const std::string& based_on, const std::shared_ptr<const void>& seen,
              const Result<std::string>& version);

  Loop& loop_;
  api::Store& store_;
  Caches caches_;
  std::map<api::ObjectKey, api::ServiceImport> imports_;
  std::map<api::ObjectKey, api::Service> services_;
  std::map<api::ObjectKey, api::EndpointSlice> slices_;
  std::map<api::ObjectKey, std::vector<api::Condition>> conditions_;
  std::map<api::ObjectKey, std::set<Id>> parts_;  // the objects above that belong to a service
  std::set<Id> todo_;
  std::set<Id> again_;  // compared again when their write or lag is over
  bool gives_way_ = false;
  std::set<Id> later_;  // creations that wait
  struct Failure {
    Duration pause = kFirstRetry;  // before the next retry
    TimePoint due;                 // when the pending retry is due
    bool waits = false;
    std::string error;
  };
  std::map<Id, Failure> failed_;  // until a write succeeds
  std::map<Id, Handle> in_flight_;
  // Objects that were written but whose event has not arrived, with the cached object at that time.
  // The event causes the next comparison.
  struct Lag {
    std::shared_ptr<const void> seen;
    TimePoint since;
  };
  std::map<Id, Lag> lagging_;
  std::vector<Handle> done_;  // handles of finished callbacks, until the next turn
  void end_lags();
  void failed(const Id& id, const Error& error);
  void retry();
  Handle sweep_;
  Handle retry_;
  Handle lag_timer_;
  std::uint64_t writes_ = 0;
};

}  // namespace cw::discovery
