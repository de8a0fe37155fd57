// Peers whose receive side stands still while handshakes look fine: a kernel's WireGuard has had
// bugs that stop one for ever (CVE-2026-52945). A session that was made anew after the last data,
// and no byte of data in it for some keepalive intervals although we send: a living peer would have
// sent keepalives, a dead one would have made no handshake. First the peer is made anew, then the
// device; then it is given up for a while. Pure: time is an argument.
#pragma once

#include <map>
#include <set>

#include "base/loop.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

struct PeerProgress {
  WallTime last_handshake{};
  std::uint64_t rx_bytes = 0;  // handshakes count as well
  std::uint64_t tx_bytes = 0;
};

enum class Remedy { kNone, kPeer, kDevice };

class StuckPeers {
 public:
  // Between devices made anew.
  static constexpr Duration kDevicePause = std::chrono::minutes(10);

  // `patience`: some of the peers' keepalive intervals.
  explicit StuckPeers(Duration patience) : patience_(patience) {}
  // What was read of the peer now, about every second. What to do, said once.
  Remedy look(const GatewayId& id, const PeerProgress& seen, TimePoint now);
  void keep_only(const std::set<GatewayId>& ids);
  // It was found stuck and no data has come since.
  [[nodiscard]] bool stuck(const GatewayId& id) const;

 private:
  struct Watch {
    PeerProgress last;
    bool fresh = false;            // a handshake came after the last data
    std::uint64_t sent_since = 0;  // tx_bytes at that handshake
    TimePoint since{};             // of that handshake, or of the last remedy
    int remedies = 0;              // since the last data
  };
  Duration patience_;
  std::map<GatewayId, Watch> watches_;
  TimePoint device_at_{};
  bool device_tried_ = false;
};

}  // namespace cw::gateway
