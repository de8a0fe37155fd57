// The threads of the data path. Each can do both directions; one at a time leads: it waits for the
// TUN and the sockets together and reads. While one thread keeps up, it does everything itself, and
// a packet that its own write brought forth (an acknowledgement, the next segments) is read without
// anybody being woken. When more waits than it has read, it hands the lead to the next worker
// before it starts to encrypt or decrypt.
#pragma once

#include <mutex>

#include "tunnel/engine/receive.h"
#include "tunnel/engine/transmit.h"

namespace cw::tunnel::engine {

class Workers {
 public:
  Workers(DeviceState& state, AeadChoice aead, std::size_t count);
  // One worker's thread, until the device ends.
  void run();

 private:
  struct Ready {
    bool tun = false;
    bool v4 = false;
    bool v6 = false;
  };
  [[nodiscard]] Ready wait();
  // Both are called by the leader, and say whether the caller leads still.
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
