#include "gateway/peers/hold_down.h"

#include <algorithm>

namespace cw::gateway {

bool HoldDown::held(const GatewayId& id, TimePoint now) const {
  const auto found = states_.find(id);
  return found != states_.end() && found->second.works && found->second.held_until &&
         *found->second.held_until > now;
}

// Somebody else of the cluster works and does not wait.
bool HoldDown::carried(const GatewayId& id, TimePoint now) const {
  return std::any_of(states_.begin(), states_.end(), [&](const auto& entry) {
    return entry.first.cluster == id.cluster && entry.first != id && entry.second.works &&
           !held(entry.first, now);
  });
}

void HoldDown::update(const std::map<GatewayId, bool>& works, TimePoint now) {
  std::erase_if(states_, [&](const auto& entry) { return works.count(entry.first) == 0; });
  // Falls first, so that what comes back at the same moment sees who is left.
  for (const auto& [id, good] : works) {
    auto& state = states_[id];
    if (!good) {
      state.works = false;
      state.held_until.reset();
    }
  }
  for (const auto& [id, good] : works) {
    auto& state = states_[id];
    if (!good || state.works) continue;
    if (state.worked_once && carried(id, now)) state.held_until = now + hold_;
    state.works = true;
    state.worked_once = true;
  }
}

std::set<GatewayId> HoldDown::usable(TimePoint now) const {
  std::set<GatewayId> result;
  for (const auto& [id, state] : states_) {
    if (state.works && (!held(id, now) || !carried(id, now))) result.insert(id);
  }
  return result;
}

std::optional<TimePoint> HoldDown::next_end(TimePoint now) const {
  std::optional<TimePoint> next;
  for (const auto& [id, state] : states_) {
    if (!held(id, now)) continue;
    if (!next || *state.held_until < *next) next = state.held_until;
  }
  return next;
}

}  // namespace cw::gateway
