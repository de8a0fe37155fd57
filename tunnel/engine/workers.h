// The threads of the data path. Each thread works in both directions. One thread at a time leads:
// it waits for the TUN and the sockets together and reads. While one thread keeps up, it does all
// the work itself. It then reads the reply to its own write (an acknowledgement, the next segments)
// without waking another thread. When more packets wait than it has read, it hands the lead to the
// next worker before it encrypts or decrypts.
#pragma once

#include <mutex>

#include "tunnel/engine/receive.h"
#include "tunnel/engine/transmit.h"

namespace cw::tunnel::engine {

class Workers {
 public:
  Workers(DeviceState& state, AeadChoice aead, std::size_t count);
  // One worker's thread; returns when the device ends.
  void run();

 private:
  struct Ready {
    bool tun = false;
    bool v4 = false;
    bool v6 = false;
  };
  [[nodiscard]] Ready wait();
  // The leader calls both. They return whether the caller still leads.
  bool receive(std::unique_lock<std::mutex>& lead, const Ready& ready, Aead& aead);
  bool transmit(std::unique_lock<std::mutex>& lead, Aead& aead);

  DeviceState& state_;
  AeadChoice aead_;
  std::size_t count_;
  std::mutex lead_;
  Transmit transmit_;
  Receive receive_;
};

}  // namespace cw::tunnel::engine
