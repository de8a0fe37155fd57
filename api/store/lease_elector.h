// Leader election on a Lease (coordination.k8s.io semantics, as client-go's leaderelection): for
// single-writer roles only, never for anything on a packet's path. A holder that cannot renew
// within `renew` of its last success steps down before the lease expires. Time of other holders'
// renewals is judged by when *we* saw them change, so clocks need not agree; time in which this
// process was paused does not count.
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
  Duration retry = std::chrono::seconds(2);  // with jitter
};

class LeaseElector {
 public:
  // `on_change(leader)` on the loop thread, on every change.
  LeaseElector(Loop& loop, Store& store, Random& random, LeaseConfig config,
               std::function<void(bool)> on_change);
  ~LeaseElector();  // does not release; call release() first for a quick hand-over
  LeaseElector(const LeaseElector&) = delete;
  LeaseElector& operator=(const LeaseElector&) = delete;

  [[nodiscard]] bool leader() const;
  // Steps down at once and frees the Lease in the store; `done` when written (or failed).
  void release(std::function<void()> done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::api
