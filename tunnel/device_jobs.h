// Runs the calls of a Driver that may wait, one after another on a worker thread, with moves of
// allowed IPs first. If the driver moves at once (tunnel/driver.h), a move does not queue: it
// happens on the loop, whatever the worker does. Each kind of call is queued at most once. An apply
// takes the newest spec when its turn comes. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/worker.h"
#include "tunnel/driver.h"

namespace cw::tunnel {

// Prefixes that change their peers together, in one placement.
struct PeerMoves {
  std::uint64_t number = 0;  // number of the placement that they belong to
  std::vector<std::pair<Key, std::set<Prefix>>> to;
};

// Results of the calls. No hook runs after the DeviceJobs is destroyed.
struct DeviceJobHooks {
  std::function<DeviceSpec()> spec;  // returns the newest spec; its apply starts now
  std::function<void(Result<DeviceStatus>)> on_read;
  std::function<void(const Result<>&)> on_applied;
  std::function<void(const PeerMoves&, const Result<>&)> on_moved;
  std::function<void(const Result<>&, const std::string& what)> on_repaired;
};

class DeviceJobs {
 public:
  // `driver` and `background` must outlive every job, including jobs that outlive this object.
  DeviceJobs(Loop& loop, Driver& driver, Background background, DeviceJobHooks hooks);
  DeviceJobs(const DeviceJobs&) = delete;
  DeviceJobs& operator=(const DeviceJobs&) = delete;

  void read();
  void apply();
  void move(PeerMoves moves);
  void recreate(const Key& peer);
  void remake();  // removes the device, then applies the spec

  // A call that runs for longer than this counts as hanging. A request to a userspace program fails
  // after 3 s (uapi/uapi_driver.cc), so a hanging program is reported before that.
  static constexpr Duration kPatience = std::chrono::milliseconds(1500);
  [[nodiscard]] bool hangs() const;

 private:
  void next();
  template <typename Work, typename Done>
  void start(Work work, Done done);

  Loop& loop_;
  Driver& driver_;
  Background background_;
  DeviceJobHooks hooks_;
  std::vector<PeerMoves> moves_;  // these five: the queue
  bool remake_ = false;
  bool apply_ = false;
  std::set<Key> recreate_;
  bool read_ = false;
  bool running_ = false;
  TimePoint running_since_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a job may outlive us
};

}  // namespace cw::tunnel
