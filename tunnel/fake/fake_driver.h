// A WireGuard device in memory: the whole behaviour of a Driver, faults on demand, and a text log
// of the changes that reached the device.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>

#include "tunnel/device_keeper.h"

namespace cw::tunnel {

class FakeDriver final : public DeviceKeeper {
 public:
  [[nodiscard]] std::string name() const override { return "fake"; }
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] bool moves_at_once() const override { return at_once_; }
  [[nodiscard]] Result<> remove() override;

  // The next call fails with this error, once, and has no effect.
  void fail_next(Error error) { failures_.push_back(std::move(error)); }
  // False: behaves like a driver that asks another process, so every call queues.
  void set_moves_at_once(bool at_once) { at_once_ = at_once; }
  // Runs between apply()'s read of the device and its change.
  void before_apply(std::function<void()> happens) { before_apply_ = std::move(happens); }
  // The changes since the last call: "add <key8> allow 10.0.0.0/8\nremove <key8>\n". key8 is the
  // first 8 characters of the key in base64.
  [[nodiscard]] std::string take_log() { return std::exchange(log_, {}); }
  // The device's state, for what a real one learns by itself: handshakes, roaming, counters.
  DeviceStatus& device() { return status_; }
  [[nodiscard]] bool exists() const { return exists_; }

 private:
  [[nodiscard]] Result<DeviceStatus> open() override;
  [[nodiscard]] Result<> set(const DeviceChange& change) override;
  [[nodiscard]] Result<> injected();

  bool at_once_ = true;
  bool exists_ = false;
  DeviceStatus status_;
  std::deque<Error> failures_;
  std::function<void()> before_apply_;
  std::string log_;
};

}  // namespace cw::tunnel
