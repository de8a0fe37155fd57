// What to change in a WireGuard device to reach a spec: pure, shared by all drivers. A peer that is
// as it should be is not named at all, so its session cannot be disturbed.
#pragma once

#include <vector>

#include "tunnel/driver.h"

namespace cw::tunnel {

struct PeerChange {
  Key key;
  bool add = false;  // not there yet
  bool remove = false;
  bool replace_allowed_ips = false;  // it loses some: the whole set is given
  std::set<Prefix> allowed_ips;      // all (replace_allowed_ips) or those to add
  std::optional<Endpoint> endpoint;  // set only if present
  std::optional<Key> preshared_key;  // zero key: remove it
  std::optional<std::uint16_t> keepalive_seconds;
  [[nodiscard]] bool empty() const {
    return !add && !remove && !replace_allowed_ips && allowed_ips.empty() && !endpoint &&
           !preshared_key && !keepalive_seconds;
  }
};

struct DeviceChange {
  std::optional<Key> private_key;
  std::optional<std::uint16_t> listen_port;
  std::optional<std::uint32_t> fwmark;
  std::vector<PeerChange> peers;  // removals, then gains (a prefix moves in one go), then losses
  [[nodiscard]] bool empty() const {
    return !private_key && !listen_port && !fwmark && peers.empty();
  }
};

// What a driver remembers between applies: a device does not tell pre-shared keys or which endpoint
// was configured (a roamed peer must stay roamed).
struct Applied {
  struct Peer {
    std::optional<Endpoint> endpoint;
    std::optional<Key> preshared_key;
  };
  std::map<Key, Peer> peers;
};

[[nodiscard]] DeviceChange change_of(const DeviceStatus& actual, const DeviceSpec& desired,
                                     const Applied& applied);
// Removes a peer of `spec` and makes it again, in one change.
[[nodiscard]] DeviceChange recreation_of(const DeviceSpec& spec, const Key& key);
// What `spec` is after a move.
void move_in(DeviceSpec& spec, const Key& peer, const std::set<Prefix>& prefixes);
[[nodiscard]] Applied applied_of(const DeviceSpec& spec, const Applied& before);

}  // namespace cw::tunnel
