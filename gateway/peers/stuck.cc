#include "gateway/peers/stuck.h"

namespace cw::gateway {

Remedy StuckPeers::record(const GatewayId& id, const PeerProgress& seen, TimePoint now) {
  const auto [at, added] = watches_.try_emplace(id, Watch{seen, false, 0, now, 0});
  auto& watch = at->second;
  const auto before = watch.last;
  watch.last = seen;
  if (added) return Remedy::kNone;
  if (seen.last_handshake != before.last_handshake) {
    if (seen.last_handshake == WallTime{}) {  // made again
      watch.fresh = false;
      return Remedy::kNone;
    }
    // The bytes of a handshake cannot be told from data.
    if (!watch.fresh) watch.since = now;
    watch.fresh = true;
    watch.sent_since = seen.tx_bytes;
    return Remedy::kNone;
  }
  if (seen.rx_bytes > before.rx_bytes) {
    watch.fresh = false;
    watch.remedies = 0;
    return Remedy::kNone;
  }
  const bool sent = seen.tx_bytes > watch.sent_since;
  if (!watch.fresh || !sent || now - watch.since < patience_) return Remedy::kNone;
  watch.since = now;
  if (watch.remedies == 0) {
    watch.remedies = 1;
    watch.fresh = false;  // until the next handshake
    return Remedy::kPeer;
  }
  if (watch.remedies > 1 || (device_tried_ && now - device_at_ < kDevicePause)) {
    return Remedy::kNone;
  }
  watch.remedies = 2;
  watch.fresh = false;
  device_tried_ = true;
  device_at_ = now;
  return Remedy::kDevice;
}

void StuckPeers::keep_only(const std::set<GatewayId>& ids) {
  std::erase_if(watches_, [&](const auto& one) { return ids.count(one.first) == 0; });
}

bool StuckPeers::stuck(const GatewayId& id) const {
  const auto at = watches_.find(id);
  return at != watches_.end() && at->second.remedies > 0;
}

}  // namespace cw::gateway
