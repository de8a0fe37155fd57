// Brings ServiceImports, derived Services, EndpointSlices and the conditions of ServiceExports in
// the store to what is wanted. It is told what changed, wishes and caches; only that is looked at.
// What differs waits in a queue, at most kInFlight writes are under way, a failed one is tried
// again after a pause that grows up to kMostRetry, or when something changes there. Only the holder
// of the discovery Lease writes. Objects that are not ours are never touched.
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
  static constexpr Duration kMaxLag = std::chrono::seconds(10);  // then it is looked at anyway
  ObjectWriter(Loop& loop, api::Store& store, Caches caches)
      : loop_(loop), store_(store), caches_(caches) {}

  // What a service is to have now; empty: nothing.
  void want(const api::ObjectKey& service, DesiredService desired);
  // The conditions of our ServiceExport; empty: none.
  void want(const api::ObjectKey& service, std::vector<api::Condition> conditions);
  // A cache changed there.
  void look(api::Kind kind, const api::ObjectKey& key);
  // After everything was wanted for the first time: what else of ours is in the caches goes.
  void adopt();
  void pump();  // after the calls above
  // Whether something else is more urgent for the API server: then creations wait.
  void give_way(bool others);
  void stop();  // another one writes now
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

 private:
  using Id = std::pair<api::Kind, api::ObjectKey>;
  // One thing to do; nothing: it is as wanted.
  struct Step {
    enum class What { kNone, kCreate, kUpdate, kStatus, kRemove } what = What::kNone;
    std::string version;  // of the object it is based on
    nlohmann::json body;
  };
  [[nodiscard]] Step step_of(const Id& id) const;
  [[nodiscard]] Step import_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step service_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step slice_step(const api::ObjectKey& key) const;
  [[nodiscard]] Step export_step(const api::ObjectKey& key) const;
  [[nodiscard]] std::shared_ptr<const void> cached(const Id& id) const;
  void start(const Id& id, Step step);
  // `seen`: what the cache held when the write began; the event may come before the answer.
  void finish(const Id& id, const std::string& based_on, const std::shared_ptr<const void>& seen,
              const Result<std::string>& version);

  Loop& loop_;
  api::Store& store_;
  Caches caches_;
  std::map<api::ObjectKey, api::ServiceImport> imports_;
  std::map<api::ObjectKey, api::Service> services_;
  std::map<api::ObjectKey, api::EndpointSlice> slices_;
  std::map<api::ObjectKey, std::vector<api::Condition>> conditions_;
  std::map<api::ObjectKey, std::set<Id>> parts_;  // what of the above belongs to a service
  std::set<Id> todo_;
  std::set<Id> again_;  // to be looked at when their write or lag is over
  bool gives_way_ = false;
  std::set<Id> later_;  // creations that give way
  struct Failure {
    Duration pause = kFirstRetry;  // the next
    TimePoint due;                 // of the retry that it waits for
    bool waits = false;
    std::string error;
  };
  std::map<Id, Failure> failed_;  // until a success
  std::map<Id, Handle> in_flight_;
  // Written, but not yet seen: what the cache held then. The event is what looks again.
  struct Lag {
    std::shared_ptr<const void> seen;
    TimePoint since;
  };
  std::map<Id, Lag> lagging_;
  std::vector<Handle> done_;  // handles whose callbacks are over, until the next turn
  void end_lags();
  void failed(const Id& id, const Error& error);
  void retry();
  Handle sweep_;
  Handle retry_;
  Handle lag_timer_;
  std::uint64_t writes_ = 0;
};

}  // namespace cw::discovery
