// The device's control thread: handshakes, timers, and the interface's MTU. It sleeps in poll()
// until the next timer; the data path wakes it when that comes earlier.
#pragma once

#include "tunnel/engine/device_state.h"

namespace cw::tunnel::engine {

class Control {
 public:
  explicit Control(DeviceState& state);
  void run();

 private:
  void handshakes();
  void handshake(const HandshakeQueue::Item& item, std::size_t left);
  void timers();
  void read_mtu();

  DeviceState& state_;
  UniqueFd links_;  // rtnetlink: changes of interfaces; none if it cannot be had
  Output out_;
};

}  // namespace cw::tunnel::engine
