// The changes that turn a WireGuard device into a spec. Pure, shared by all drivers. A peer that
// needs no change is not listed, so its session cannot be disturbed.
#pragma once

#include <vector>

#include "tunnel/driver.h"

namespace cw::tunnel {

struct PeerChange {
  Key key;
  bool add = false;  // the device does not have it yet
  bool remove = false;
  bool replace_allowed_ips = false;  // it loses some prefixes: allowed_ips has the whole set
  std::set<Prefix> allowed_ips;      // all of them (replace_allowed_ips), or those to add
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
  std::vector<PeerChange> peers;  // removals, then gains (a prefix moves in one step), then losses
  [[nodiscard]] bool empty() const {
    return !private_key && !listen_port && !fwmark && peers.empty();
  }
};

// What a driver remembers between applies. A device reveals neither pre-shared keys nor which
// endpoint was configured, and a peer that roamed must keep its endpoint.
struct Applied {
  struct Peer {
    std::optional<Endpoint> endpoint;
    std::optional<Key> preshared_key;
  };
  std::map<Key, Peer> peers;
};

[[nodiscard]] DeviceChange change_of(const DeviceStatus& actual, const DeviceSpec& desired,
                                     const Applied& applied);
// The change that removes a peer of `spec` and makes it again.
[[nodiscard]] DeviceChange recreation_of(const DeviceSpec& spec, const Key& key);
[[nodiscard]] Applied applied_of(const DeviceSpec& spec, const Applied& before);
// `change` failed, and how much of it was made is not known. So the next change makes it again.
void forget_failed(Applied& applied, const DeviceChange& change);

}  // namespace cw::tunnel
