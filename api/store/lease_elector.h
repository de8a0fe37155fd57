// Leader election on a Lease (coordination.k8s.io, with the semantics of client-go's
// leaderelection). Only for single-writer roles, never for anything on a packet's path. A holder
// that cannot renew within `renew` of its last success steps down before the lease expires. Whether
// another holder renews is judged by the local time at which its Lease was seen to change, so
// clocks need not agree. Time in which this process was paused does not count.
#pragma once

#include <functional>
#include <memory>

#include "api/store/store.h"
#include "api/types/lease.h"
#include "base/random.h"

namespace cw::api {

struct LeaseConfig {
  ObjectKey key;
  std::string identity;
  Duration duration = std::chrono::seconds(15);
  Duration renew = std::chrono::seconds(10);
  Duration retry = std::chrono::seconds(2);  // plus up to a fifth at random
};

class LeaseElector {
 public:
  // `on_change(leader)` is called on the loop thread at every change.
  LeaseElector(Loop& loop, Store& store, Random& random, LeaseConfig config,
               std::function<void(bool)> on_change);
  ~LeaseElector();  // does not release; call release() first for a quick handover
  LeaseElector(const LeaseElector&) = delete;
  LeaseElector& operator=(const LeaseElector&) = delete;

  [[nodiscard]] bool leader() const;
  // Steps down at once and frees the Lease in the store. `done` is called when that was written or
  // failed.
  void release(std::function<void()> done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::api
