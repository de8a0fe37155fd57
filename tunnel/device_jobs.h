// The calls of a Driver that may wait: one after another on a thread of their own, moves of
// allowed IPs first. Where the driver moves at once (tunnel/driver.h) a move does not get in line:
// it happens on the loop, whatever the other thread does. Each kind of call waits in line once; an
// apply takes the newest spec when its turn comes. Loop thread only.
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

// Prefixes that change their peers together.
struct PeerMoves {
  std::uint64_t number = 0;  // of the placement that they are a part of
  std::vector<std::pair<Key, std::set<Prefix>>> to;
};

// What the calls came to. None runs after the DeviceJobs is gone.
struct DeviceJobHooks {
  std::function<DeviceSpec()> spec;  // the newest; an apply of it starts now
  std::function<void(Result<DeviceStatus>)> on_read;
  std::function<void(const Result<>&)> on_applied;
  std::function<void(const PeerMoves&, const Result<>&)> on_moved;
  std::function<void(const Result<>&, const std::string& what)> on_repaired;
};

class DeviceJobs {
 public:
  // `driver` and `background` outlive every job, also those that outlive this object.
  DeviceJobs(Loop& loop, Driver& driver, Background background, DeviceJobHooks hooks);
  DeviceJobs(const DeviceJobs&) = delete;
  DeviceJobs& operator=(const DeviceJobs&) = delete;

  void read();
  void apply();
  void move(PeerMoves moves);
  void recreate(const Key& peer);
  void remake();  // removes the device and applies

  // A call has been running for longer than this: the driver hangs.
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
  std::vector<PeerMoves> moves_;  // these five: what waits in line
  bool remake_ = false;
  bool apply_ = false;
  std::set<Key> recreate_;
  bool read_ = false;
  bool running_ = false;
  TimePoint running_since_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a job may outlive us
};

}  // namespace cw::tunnel
