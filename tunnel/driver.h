// One WireGuard device. apply() takes the whole wanted state: it removes everything else, and
// applying the same spec twice changes nothing and keeps every session. The drivers are kernel/
// (embeddable-wg-library), uapi/ (any userspace implementation over the cross-platform socket) and
// engine/ (our own). All pass tests/tunnel/driver_contract_test.cc.
//
// Threads: most calls wait for the kernel or for another process, some for seconds. They belong on
// a worker, one at a time (device_jobs.h). Three belong to the loop thread: name() and moves()
// never wait, and move_allowed_ips() where moves_at_once() is true. That one waits at most for
// another thread's change of the device, never for a read.
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
  std::optional<Endpoint> endpoint;  // none: keep the endpoint (the peer calls us, or roamed)
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
  // Driver::moves() at the time when this spec was computed.
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
  // Makes the device, or takes over an existing one. Then applies the difference between it and
  // `spec`. Allowed IPs move in one step, and sessions of unchanged peers stay. A PeerSpec's
  // endpoint is set only if it differs from the last *applied* one, so a peer that roamed keeps its
  // endpoint. kConflict: allowed IPs moved after `spec` was computed, and the peers are unchanged.
  // kUnavailable: the other process does not answer.
  [[nodiscard]] virtual Result<> apply(const DeviceSpec& spec) = 0;
  [[nodiscard]] virtual Result<DeviceStatus> read() = 0;
  // Moves `prefixes` to `peer` at once and changes nothing else; for failover. kNotFound: there is
  // no such peer.
  [[nodiscard]] virtual Result<> move_allowed_ips(const Key& peer,
                                                  const std::set<Prefix>& prefixes) = 0;
  // The number of calls of move_allowed_ips() so far.
  [[nodiscard]] virtual std::uint64_t moves() const = 0;
  // True if move_allowed_ips() is one message that is answered at once. Then the loop thread may
  // call it while another thread is in another call.
  [[nodiscard]] virtual bool moves_at_once() const = 0;
  // Drops the peer's session and makes the peer again with the same settings, for a stuck receive
  // side.
  [[nodiscard]] virtual Result<> recreate_peer(const Key& peer) = 0;
  // Removes the device if it is ours. Success if there is none.
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
  std::string interface;
  DriverChoice choice = DriverChoice::kAuto;
  // The userspace program for uapi. It is started as `PROGRAM INTERFACE` if no socket answers.
  std::string userspace_program = "wireguard-go";
  std::string socket_dir = "/var/run/wireguard";
  EngineConfig engine;
};

// auto: the kernel's driver if the kernel has WireGuard, else our own engine.
[[nodiscard]] Result<std::unique_ptr<Driver>> make_driver(const DriverConfig& config);

}  // namespace cw::tunnel
