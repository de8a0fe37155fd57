// One WireGuard device of ours: a TUN interface, two UDP sockets, worker threads and the control
// thread around the Core. It exists from open() to its destruction, and so does the interface.
//
//   TUN --> workers --> UDP        handshakes, timers, MTU: control thread
//   TUN <-- workers <-- UDP        set(), settings(): any thread
#pragma once

#include <memory>
#include <string>

#include "tunnel/engine/aead.h"
#include "tunnel/uapi/codec.h"

namespace cw::tunnel::engine {

struct DeviceOptions {
  std::string interface;
  std::size_t workers = 0;  // threads of the data path; 0: half the cores, at least 1, at most 8
  // Each is used only where the kernel has it.
  bool tso = true;  // super-packets of TCP, both directions
  bool uso = true;  // of UDP (Linux 6.2); needs tso
  bool gso = true;  // UDP_SEGMENT
  bool gro = true;  // UDP_GRO
  AeadChoice aead = AeadChoice::kFastest;
};

class Device {
 public:
  // Makes the interface (down, without addresses) and listens on a free port. kExists: the name is
  // taken; kDenied; kUnsupported: no TUN here.
  [[nodiscard]] static Result<std::unique_ptr<Device>> open(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // All of it or, on an error, nothing. kExists: the port is taken.
  [[nodiscard]] Result<> set(const uapi::SetRequest& request);
  struct Settings {
    Key private_key;
    DeviceStatus status;
    std::map<Key, Key> preshared_keys;
  };
  // Holds up no set(): of one that runs meanwhile, a prefix on its way from one peer to another may
  // be at both or at neither.
  [[nodiscard]] Settings settings() const;

  [[nodiscard]] const std::string& interface() const;
  // The interface was deleted from outside: this object can only be destroyed.
  [[nodiscard]] bool gone() const;
  // Waits for that; returns at once after it.
  void wait_gone() const;

 private:
  struct Parts;
  explicit Device(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cw::tunnel::engine
