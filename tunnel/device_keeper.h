// What all drivers have in common. A driver opens its device and sets changes; this class does the
// rest of tunnel/driver.h. It orders the two threads that change a device: the loop thread moves
// allowed IPs at once, and a worker applies whole specs. A spec that was computed before the last
// move cannot undo that move.
#pragma once

#include <atomic>
#include <mutex>

#include "tunnel/diff.h"

namespace cw::tunnel {

class DeviceKeeper : public Driver {
 public:
  [[nodiscard]] Result<> apply(const DeviceSpec& spec) final;
  [[nodiscard]] Result<> move_allowed_ips(const Key& peer, const std::set<Prefix>& prefixes) final;
  [[nodiscard]] std::uint64_t moves() const final { return moves_.load(std::memory_order_acquire); }
  [[nodiscard]] Result<> recreate_peer(const Key& peer) final;

 protected:
  // Makes the device if there is none, and reads it. A driver that made or removed the device calls
  // forget().
  [[nodiscard]] virtual Result<DeviceStatus> open() = 0;
  // Makes `change`. An error leaves it unknown how much of it was made.
  [[nodiscard]] virtual Result<> set(const DeviceChange& change) = 0;
  [[nodiscard]] virtual Result<> move(const DeviceChange& change) { return set(change); }
  void forget() { applied_ = {}; }
  // While the lock lives, no change of the device is made.
  [[nodiscard]] std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> moves_{0};
  Applied applied_;
  DeviceSpec last_;  // the last applied spec with later moves; guarded by mutex_
};

}  // namespace cw::tunnel
