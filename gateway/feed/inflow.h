// Limits how fast the statements of one cluster take effect, between the feed client and the
// RemoteState. Unchanged statements cost nothing.
//   * Exports: only the newest version of each waits, so the queue is bounded. A first sync of all
//     that a cluster may export goes through at once. Afterwards 50 changes per second do, the one
//     that waits longest first.
//   * Announcements: fifty at once, then one per second, of a cluster with few prefixes. Each 1,000
//     prefixes that the cluster has make a change cost one more. What waits is merged.
// The work is done in slices, so that no turn of the loop is long. A turn compares at most 1,024
// exports of a snapshot. Refusals are published every 100 ms. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "gateway/feed/remote_state.h"
#include "gateway/feed/stream.h"

namespace cw::gateway {

class Inflow {
 public:
  // `resync`: more waited than 2 * kMaxExports changes, or more bytes than the limits of
  // statement.h. It was dropped, and the cluster needs a snapshot. Called in a turn of its own.
  Inflow(Loop& loop, RemoteState& remotes,
         std::function<void(const std::string& cluster)> resync = {});
  ~Inflow();
  Inflow(const Inflow&) = delete;
  Inflow& operator=(const Inflow&) = delete;

  void receive(const std::string& cluster, FeedBatch batch);
  // Call when the RemoteState's peers or our own prefixes changed: exports may be judged again.
  void schedule();
  // What waits of a cluster: changes of exports, and exports of a snapshot that are not compared
  // yet.
  [[nodiscard]] std::size_t waiting(const std::string& cluster) const;

 private:
  struct Queue;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
