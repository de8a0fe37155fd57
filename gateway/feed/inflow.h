// Between the feed client and the RemoteState: how fast what one cluster says takes effect. Of each
// export only the newest version waits, so the queue is bounded; a first sync of all that a cluster
// may export goes through at once, afterwards 50 changes a second do, the one that waits longest
// first. Announcements have a second between them, and one more for each 1,000 prefixes, those of
// gateways included. What is unchanged costs nothing. The work is done in slices, so that no turn
// of the loop is long: a snapshot is compared with what is known 1,024 exports a turn, and refusals
// are told each 100 ms. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "gateway/feed/client.h"
#include "gateway/feed/remote_state.h"

namespace cw::gateway {

struct InflowConfig {
  double changes_per_second = 50;
  double burst = 12'000;  // more than kMaxExports: a whole sync and some changes
  Duration between_announcements = std::chrono::seconds(1);
  std::size_t slice = 32;  // exports in one turn of the loop
};

class Inflow {
 public:
  // `resync`: more waits of the cluster than it may export; it was forgotten, and a snapshot is
  // needed. Called in a turn of its own.
  Inflow(Loop& loop, RemoteState& intake,
         std::function<void(const std::string& cluster)> resync = {},
         const InflowConfig& config = {});
  ~Inflow();
  Inflow(const Inflow&) = delete;
  Inflow& operator=(const Inflow&) = delete;

  [[nodiscard]] FeedCallbacks callbacks();  // for the FeedClient; must not outlive this
  // The RemoteState's peers or our own prefixes changed: exports may have to be judged again.
  void look();
  // What waits of a cluster: changes of exports, and exports of a snapshot that is not compared
  // yet.
  [[nodiscard]] std::size_t waiting(const std::string& cluster) const;

 private:
  struct Queue;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw::gateway
