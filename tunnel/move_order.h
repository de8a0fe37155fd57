// Orders the two threads that change a device. The loop thread moves allowed IPs at once. A worker
// reads the device and applies whole specs. This class keeps a spec that was computed before the
// last move from undoing that move. One per driver. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/error.h"
#include "tunnel/diff.h"

namespace cw::tunnel {

class MoveOrder {
 public:
  // The number of moves so far, including failed ones. Never waits.
  [[nodiscard]] std::uint64_t moves() const { return moves_.load(std::memory_order_acquire); }

  // Counts a move and runs `set`, which makes it. Waits while another `set` runs.
  template <typename Set>
  [[nodiscard]] Result<> move(const Set& set) {
    const std::lock_guard lock(mutex_);
    moves_.fetch_add(1, std::memory_order_release);
    return set();
  }
  // Runs `set` if no move came after the first `moves`; else kConflict.
  template <typename Set>
  [[nodiscard]] Result<> apply(std::uint64_t moves, const Set& set) {
    const std::lock_guard lock(mutex_);
    if (moves != moves_.load(std::memory_order_acquire)) {
      return fail(Errc::kConflict, "allowed IPs moved after this was wanted");
    }
    return set();
  }
  // Runs `set` while no move and no apply() runs.
  template <typename Set>
  auto alone(const Set& set) {
    const std::lock_guard lock(mutex_);
    return set();
  }

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> moves_{0};
};

// Driver::move_allowed_ips() with `set`, which applies a DeviceChange to the device. `last` is the
// spec that was applied last; it follows the move.
template <typename Set>
[[nodiscard]] Result<> move_to(MoveOrder& order, DeviceSpec& last, const Key& peer,
                               const std::set<Prefix>& prefixes, const Set& set) {
  return order.move([&]() -> Result<> {
    if (last.peers.count(peer) == 0) return fail(Errc::kNotFound, "no such peer");
    DeviceChange change;
    PeerChange& one = change.peers.emplace_back();
    one.key = peer;
    one.allowed_ips = prefixes;
    if (auto ok = set(change); !ok) return ok;
    move_in(last, peer, prefixes);
    return {};
  });
}

// Driver::recreate_peer(), in the same way.
template <typename Set>
[[nodiscard]] Result<> recreate(MoveOrder& order, const DeviceSpec& last, const Key& peer,
                                const Set& set) {
  return order.alone([&]() -> Result<> {
    if (last.peers.count(peer) == 0) return fail(Errc::kNotFound, "no such peer");
    return set(recreation_of(last, peer));
  });
}

}  // namespace cw::tunnel
