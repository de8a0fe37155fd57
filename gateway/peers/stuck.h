// Detects peers that receive nothing although handshakes succeed. The kernel's WireGuard has had
// bugs that stop a peer's receive side for ever (CVE-2026-52945). The signs: a handshake came after
// the last data, and then no data for some keepalive intervals although we send. A living peer
// would have sent keepalives. A dead peer would have made no handshake. The first remedy makes the
// peer again, the second one the device. Then the peer is left alone until data comes. Pure: time
// is an argument.
#pragma once

#include <map>
#include <set>

#include "base/loop.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

struct PeerProgress {
  WallTime last_handshake{};
  std::uint64_t rx_bytes = 0;  // includes handshakes
  std::uint64_t tx_bytes = 0;
};

enum class Remedy { kNone, kPeer, kDevice };

class StuckPeers {
 public:
  // The device is made again at most this often, because that interrupts every tunnel.
  static constexpr Duration kDevicePause = std::chrono::minutes(10);

  // `patience`: some keepalive intervals of the peers.
  explicit StuckPeers(Duration patience) : patience_(patience) {}
  // Records the state of the peer, about every second. Returns each remedy once.
  Remedy record(const GatewayId& id, const PeerProgress& seen, TimePoint now);
  void keep_only(const std::set<GatewayId>& ids);
  // The peer was found stuck, and no data has come since.
  [[nodiscard]] bool stuck(const GatewayId& id) const;

 private:
  struct Watch {
    PeerProgress last;
    bool fresh = false;            // a handshake came after the last data
    std::uint64_t sent_since = 0;  // tx_bytes at the last handshake
    TimePoint since{};             // the patience begins
    int remedies = 0;              // tried since the last data
  };
  Duration patience_;
  std::map<GatewayId, Watch> watches_;
  TimePoint device_at_{};
  bool device_tried_ = false;
};

}  // namespace cw::gateway
