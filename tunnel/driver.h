// One WireGuard device. apply() takes the whole wanted state: what is not in it goes away, the same
// spec twice changes nothing and keeps every session. Drivers: kernel/ (embeddable-wg-library),
// uapi/ (any userspace implementation over the cross-platform socket), engine/ (our own). All pass
// tests/tunnel/driver_contract_test.cc. Calls wait for the kernel or for another process, some for
// seconds: they belong on a worker, one at a time (device_jobs.h). Three belong to the loop thread:
// name() and moves(), which never wait, and move_allowed_ips() where moves_at_once() is true. It
// waits at most for a change that another thread makes to the device, never for a read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "base/prefix.h"
#include "tunnel/key.h"

namespace cw::tunnel {

struct PeerSpec {
  std::optional<Endpoint> endpoint;  // none: leave as it is (the peer calls us, or roamed)
  std::optional<Key> preshared_key;
  std::uint16_t keepalive_seconds = 0;  // 0: off
  std::set<Prefix> allowed_ips;         // a prefix has one owner in the device
  friend bool operator==(const PeerSpec&, const PeerSpec&) = default;
};

struct DeviceSpec {
  Key private_key;
  std::uint16_t listen_port = 0;
  std::uint32_t fwmark = 0;
  std::map<Key, PeerSpec> peers;  // by public key
  // Driver::moves() when this was written.
  std::uint64_t moves = 0;
};

struct PeerStatus {
  std::optional<Endpoint> endpoint;  // in use now
  WallTime last_handshake{};         // zero: never
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::uint16_t keepalive_seconds = 0;
  bool has_preshared_key = false;
  std::set<Prefix> allowed_ips;
};

struct DeviceStatus {
  Key public_key;
  std::uint16_t listen_port = 0;
  std::uint32_t fwmark = 0;
  std::map<Key, PeerStatus> peers;
};

class Driver {
 public:
  virtual ~Driver() = default;
  // "kernel", "uapi", "engine".
  [[nodiscard]] virtual std::string name() const = 0;
  // Makes the device if it is not there (taking over one that is), then applies the difference
  // between it and `spec`: moves of allowed IPs in one step, no session of an unchanged peer
  // touched. A PeerSpec endpoint is set only where it differs from the last one *applied*, so that
  // a peer that roamed stays roamed. kConflict: allowed IPs moved after `spec` was written; the
  // peers are as they were. kUnavailable: the other process does not answer.
  [[nodiscard]] virtual Result<> apply(const DeviceSpec& spec) = 0;
  [[nodiscard]] virtual Result<DeviceStatus> read() = 0;
  // Only this: moves `prefixes` to `peer` at once, for failover. kNotFound: the peer is not there.
  [[nodiscard]] virtual Result<> move_allowed_ips(const Key& peer,
                                                  const std::set<Prefix>& prefixes) = 0;
  // How many calls of move_allowed_ips() there were.
  [[nodiscard]] virtual std::uint64_t moves() const = 0;
  // move_allowed_ips() is one message that is answered at once. It may be called on the loop thread
  // while another thread is in another call.
  [[nodiscard]] virtual bool moves_at_once() const = 0;
  // Drops the peer's session and makes it again with the same settings (a stuck receive side).
  [[nodiscard]] virtual Result<> recreate_peer(const Key& peer) = 0;
  // Removes the device, if it is ours.
  [[nodiscard]] virtual Result<> remove() = 0;
};

enum class DriverChoice { kAuto, kKernel, kUapi, kEngine };
[[nodiscard]] Result<DriverChoice> parse_driver(std::string_view text);

// Switches of our own engine; each offload is used only where the kernel has it.
struct EngineConfig {
  std::uint16_t workers = 0;  // threads of the data path; 0: half the cores
  bool tso = true;            // super-packets of TCP at the interface
  bool uso = true;            // of UDP
  bool gso = true;            // UDP_SEGMENT at the sockets
  bool gro = true;            // UDP_GRO
  std::string aead = "auto";  // openssl, ipsec-mb
};

struct DriverConfig {
  std::string interface = "cw-wg";
  DriverChoice choice = DriverChoice::kAuto;
  // The userspace program for uapi: started as `PROGRAM INTERFACE` if no socket answers.
  std::string userspace_program = "wireguard-go";
  std::string socket_dir = "/var/run/wireguard";
  EngineConfig engine;
};

// auto: the kernel's if it has WireGuard, else our own engine.
[[nodiscard]] Result<std::unique_ptr<Driver>> make_driver(const DriverConfig& config);

}  // namespace cw::tunnel
