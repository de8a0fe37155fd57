// The device's control thread: handshakes, timers and the interface's MTU. Initiations arrive on
// sockets of their own. Responses and cookies arrive with the data, and workers queue them. The
// thread sleeps in poll() until the next timer. The data path wakes it when a new timer is earlier.
#pragma once

#include <array>

#include "tunnel/engine/device_state.h"

namespace cw::tunnel::engine {

class Control {
 public:
  explicit Control(DeviceState& state);
  void run();

 private:
  struct Ready {
    bool v4 = false;
    bool v6 = false;
  };
  [[nodiscard]] Ready wait(TimePoint until);
  void receive(int fd);
  void handshakes();
  void handshake(const HandshakeQueue::Item& item, std::size_t left);
  void admitted(Bytes message, const Path& from);
  void send_cookies();
  void timers();
  void read_mtu();

  DeviceState& state_;
  std::shared_ptr<UdpSockets> sockets_;
  ReceiveBatch received_;
  UniqueFd links_;  // rtnetlink: changes of interfaces; none if it is not available
  Output out_;
  struct Cookie {
    Path to;
    CookieReply reply{};
  };
  static constexpr std::size_t kCookies = 32;  // sent at once
  std::array<Cookie, kCookies> cookies_;
  std::size_t waiting_cookies_ = 0;
};

}  // namespace cw::tunnel::engine
