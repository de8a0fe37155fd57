// The state that the parts of one running device share: the Protocol under its mutex, the TUN, the
// sockets, the queue of handshakes and the signals that wake threads. Internal to the engine.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "base/random.h"
#include "base/unique_fd.h"
#include "tunnel/engine/aead.h"
#include "tunnel/engine/protocol.h"
#include "tunnel/engine/tun.h"
#include "tunnel/engine/udp.h"

namespace cw::tunnel::engine {

// Wakes a thread in poll(): the descriptor is readable from set() until clear().
class Signal {
 public:
  Signal();
  void set() const;
  void clear() const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
};

// Messages of types 1 to 3 on their way to the control thread. The queue is bounded and drops
// messages that do not fit, so a flood costs the data path at most one copy per message. Any host
// may send initiations, so they never take the last 64 places, which are for answers to our own
// handshakes.
class HandshakeQueue {
 public:
  static constexpr std::size_t kSize = 1024;
  static constexpr std::size_t kInitiations = kSize - 64;
  struct Item {
    std::array<std::uint8_t, kInitiationSize> bytes;
    std::size_t size = 0;
    Path from;
  };
  // True: the queue was empty, so wake the control thread.
  bool push(Bytes message, const Path& from);
  // How many more initiations fit.
  [[nodiscard]] std::size_t room();
  // False: the queue is empty. `left`: the number of messages behind this one.
  bool pop(Item& item, std::size_t& left);

 private:
  std::mutex mutex_;
  std::array<Item, kSize> items_;
  std::size_t head_ = 0;
  std::size_t count_ = 0;
};

// Whether super-packets may be written. False once a kernel refused one.
struct Joins {
  Joins(bool tcp_too, bool udp_too) : tcp(tcp_too), udp(udp_too) {}
  std::atomic<bool> tcp;
  std::atomic<bool> udp;
};

// Wake the threads.
struct Wakes {
  Signal control;
  Signal workers;  // stop, or other sockets
};

struct DeviceState {
  explicit DeviceState(Tun opened)
      : protocol(random, kTunnelMtu, Protocol::Handshakes::kWithTick),
        tun(std::move(opened)),
        join(tun.tso(), tun.uso()) {}

  SystemRandom random;
  std::mutex mutex;  // protocol, sockets, planned
  Protocol protocol;
  TimePoint planned = TimePoint::max();  // when the control thread wakes by itself
  std::shared_ptr<UdpSockets> sockets;
  std::atomic<std::uint64_t> sockets_generation{0};

  Tun tun;
  std::atomic<std::size_t> mtu{kTunnelMtu};
  Joins join;

  HandshakeQueue handshakes;
  Wakes wake;
  std::atomic<bool> stop{false};
  std::atomic<bool> gone{false};  // the interface was deleted

  [[nodiscard]] bool ending() const { return stop.load(std::memory_order_acquire); }
  // The interface is gone: all threads stop, and the control thread wakes wait_gone().
  void lost_interface();

  // Runs `use(protocol, now, wall, out)` under the mutex and sends the datagrams that it leaves in
  // `out`. Wakes the control thread if it armed a timer that is earlier than planned.
  template <typename Use>
  void with_core(Output& out, const Use& use);
};

[[nodiscard]] TimePoint boot_now();
[[nodiscard]] WallTime wall_now();

// Sends the Protocol's datagrams one by one, because handshakes and keepalives are few. Empties
// `out`.
void send_output(UdpSockets* sockets, Output& out);

template <typename Use>
void DeviceState::with_core(Output& out, const Use& use) {
  bool earlier = false;
  std::shared_ptr<UdpSockets> to;
  {
    const std::lock_guard lock(mutex);
    use(protocol, boot_now(), wall_now(), out);
    if (protocol.soonest() < planned) {
      planned = protocol.soonest();
      earlier = true;
    }
    if (out.urgent) send_output(sockets.get(), out);
    if (!out.datagrams.empty()) to = sockets;
  }
  if (earlier) wake.control.set();
  if (!out.datagrams.empty()) send_output(to.get(), out);
}

}  // namespace cw::tunnel::engine
