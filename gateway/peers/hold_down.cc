#include "gateway/peers/hold_down.h"

namespace cw::gateway {

void HoldDown::update(const std::map<GatewayId, bool>& good, TimePoint now) {
  std::erase_if(standings_, [&](const auto& entry) { return good.count(entry.first) == 0; });
  std::set<std::string> alive;
  for (const auto& [id, is_good] : good) {
    auto& standing = standings_[id];
    if (is_good) alive.insert(id.cluster);
    if (is_good && !standing.good) {
      standing.held_until.reset();
      if (standing.ever_good) standing.held_until = now + hold_;
      standing.ever_good = true;
    }
    standing.good = is_good;
  }
  for (auto& [id, standing] : standings_) {
    if (alive.count(id.cluster) == 0) standing = Standing{};
  }
}

std::set<GatewayId> HoldDown::held(TimePoint now) const {
  std::set<GatewayId> ids;
  for (const auto& [id, standing] : standings_) {
    if (standing.good && standing.held_until && *standing.held_until > now) ids.insert(id);
  }
  return ids;
}

std::optional<TimePoint> HoldDown::next_end(TimePoint now) const {
  std::optional<TimePoint> next;
  for (const auto& id : held(now)) {
    const auto end = *standings_.at(id).held_until;
    if (!next || end < *next) next = end;
  }
  return next;
}

}  // namespace cw::gateway
