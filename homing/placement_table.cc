#include "homing/placement_table.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

void PlacementTable::receive_clusters() {
  homes_ = homes_of(clusters_);
  claims_.set_clusters(clusters_);
  placed_by_.reset();
}

void PlacementTable::adopt(const tunnel::DeviceStatus& device) {
  adopted_ = true;
  each_gateway(clusters_, [&](const GatewayId& id, const auto& gateway) {
    const auto peer = device.peers.find(gateway.key);
    if (peer == device.peers.end()) return;
    for (const auto& prefix : peer->second.allowed_ips) placement_.emplace(prefix, id);
  });
}

void PlacementTable::place() { set(placement_of(homes_, standings(), placement_)); }

void PlacementTable::set(Placement next) {
  if (next == placement_) return;
  ++number_;
  for (const auto& [prefix, carrier] : next) {
    const auto before = placement_.find(prefix);
    if (before == placement_.end() || before->second != carrier) unplaced_[prefix] = number_;
  }
  std::erase_if(unplaced_, [&](const auto& one) { return next.count(one.first) == 0; });
  placement_ = std::move(next);
}

std::optional<PlacementTable::Change> PlacementTable::move() {
  if (!adopted_) return std::nullopt;
  // Runs with each change of a probe's result, and placing thousands of prefixes takes
  // milliseconds. So it stops early if the input is the same.
  auto now = standings();
  if (placed_by_ == now) return std::nullopt;
  placed_by_ = std::move(now);
  auto next = placement_of(homes_, *placed_by_, placement_);
  if (next == placement_) return std::nullopt;
  auto before = placement_;
  set(std::move(next));
  return Change{number_, std::move(before), placement_};
}

// A peer decides how often this runs, so it looks at no other node.
std::optional<PlacementTable::Change> PlacementTable::move(const ClaimFlow::Claimed& claims) {
  if (!adopted_ || claims.empty()) return std::nullopt;
  if (!placed_by_) return move();
  Change change;
  for (const auto& [key, claimed] : claims) {
    placed_by_->claimed[key] = claimed;
    const auto home = homes_.find(key);
    if (home == homes_.end()) continue;
    for (const auto& prefix : home->second.prefixes) {
      const auto at = placement_.find(prefix);
      if (at == placement_.end() || at->second.cluster != key.cluster) continue;
      const auto carrier = carrier_of(key, home->second.order, *placed_by_, &at->second);
      if (!carrier || *carrier == at->second) continue;
      change.before.emplace(prefix, at->second);
      change.after.emplace(prefix, *carrier);
    }
  }
  if (change.after.empty()) return std::nullopt;
  change.number = ++number_;
  for (const auto& [prefix, carrier] : change.after) {
    placement_[prefix] = carrier;
    unplaced_[prefix] = number_;
  }
  return change;
}

bool PlacementTable::placed(const ClaimKey& key) const {
  if (claims_.waits(key)) return false;
  const auto home = homes_.find(key);
  return unplaced_.empty() || home == homes_.end() ||
         std::none_of(home->second.prefixes.begin(), home->second.prefixes.end(),
                      [this](const Prefix& prefix) { return unplaced_.count(prefix) != 0; });
}

void PlacementTable::end_apply() {
  std::erase_if(unplaced_, [this](const auto& one) { return one.second <= applying_; });
}

void PlacementTable::record_moved(const tunnel::PeerMoves& moves) {
  for (const auto& [peer, prefixes] : moves.to) {
    for (const auto& prefix : prefixes) {
      const auto at = unplaced_.find(prefix);
      if (at != unplaced_.end() && at->second == moves.number) unplaced_.erase(at);
    }
  }
}

}  // namespace cw::homing
