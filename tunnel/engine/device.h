// One WireGuard device of our own engine: a TUN interface, UDP sockets, worker threads and the
// control thread around the Protocol. The device and its interface exist from open() to the
// destructor.
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
  // Each offload is used only where the kernel has it.
  bool tso = true;  // super-packets of TCP, both directions
  bool uso = true;  // of UDP (Linux 6.2); needs tso
  bool gso = true;  // UDP_SEGMENT
  bool gro = true;  // UDP_GRO
  AeadChoice aead = AeadChoice::kFastest;
};

class Device {
 public:
  // Makes the interface (down, without addresses) and listens on a free port. kExists: the name is
  // taken. kDenied: no CAP_NET_ADMIN. kUnsupported: no TUN on this host.
  [[nodiscard]] static Result<std::unique_ptr<Device>> open(const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Applies the whole request or, on an error, nothing. kExists: the port is taken.
  [[nodiscard]] Result<> set(const uapi::SetRequest& request);
  struct Settings {
    Key private_key;
    DeviceStatus status;
    std::map<Key, Key> preshared_keys;
  };
  // Does not delay a set(). If a set() moves a prefix meanwhile, the prefix may be at both peers or
  // at neither.
  [[nodiscard]] Settings settings() const;

  [[nodiscard]] const std::string& interface() const;
  // True if the interface was deleted from outside. Then this object can only be destroyed.
  [[nodiscard]] bool gone() const;
  // Waits until gone() is true.
  void wait_gone() const;

 private:
  struct Parts;
  explicit Device(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cw::tunnel::engine
