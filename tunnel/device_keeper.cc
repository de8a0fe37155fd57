#include "tunnel/device_keeper.h"

namespace cw::tunnel {

Result<> DeviceKeeper::apply(const DeviceSpec& spec) {
  const auto actual = open();
  if (!actual) return fail(actual.error());
  const auto change = change_of(*actual, spec, applied_);
  const auto held = lock();
  if (spec.moves != moves())
    return fail(Errc::kConflict, "allowed IPs moved after this was wanted");
  if (!change.empty()) {
    if (auto ok = set(change); !ok) {
      forget_failed(applied_, change);
      return ok;
    }
  }
  applied_ = applied_of(spec, applied_);
  last_ = spec;
  return {};
}

Result<> DeviceKeeper::move_allowed_ips(const Key& peer, const std::set<Prefix>& prefixes) {
  const auto held = lock();
  moves_.fetch_add(1, std::memory_order_release);
  if (last_.peers.count(peer) == 0) return fail(Errc::kNotFound, "no such peer");
  DeviceChange change;
  auto& one = change.peers.emplace_back();
  one.key = peer;
  one.allowed_ips = prefixes;
  if (auto ok = move(change); !ok) return ok;
  for (auto& [key, other] : last_.peers) {
    for (const auto& prefix : prefixes) other.allowed_ips.erase(prefix);
  }
  last_.peers[peer].allowed_ips.insert(prefixes.begin(), prefixes.end());
  return {};
}

Result<> DeviceKeeper::recreate_peer(const Key& peer) {
  const auto held = lock();
  if (last_.peers.count(peer) == 0) return fail(Errc::kNotFound, "no such peer");
  return set(recreation_of(last_, peer));
}

}  // namespace cw::tunnel
