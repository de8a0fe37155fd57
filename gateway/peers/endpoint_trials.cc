#include "gateway/peers/endpoint_trials.h"

#include <algorithm>

namespace cw::gateway {

EndpointPick EndpointTrials::pick(const GatewayId& id, const std::vector<Endpoint>& candidates,
                                  const PeerSigns& signs, TimePoint now) {
  if (candidates.empty()) {
    trials_.erase(id);
    return {};
  }
  const auto [at, fresh] = trials_.try_emplace(id);
  auto& trial = at->second;
  auto place = std::find(candidates.begin(), candidates.end(), trial.endpoint);
  if (fresh || place == candidates.end()) {
    trial = {candidates.front(), now, false, false, signs};
    return {trial.endpoint, false};
  }
  const bool progress = signs.usable || signs.last_handshake != trial.signs.last_handshake ||
                        (signs.session && signs.rx_bytes > trial.signs.rx_bytes);
  trial.signs = signs;
  if (progress) {
    trial.since = now;
    trial.proven = true;
    return {trial.endpoint, false};
  }
  const auto tried = now - trial.since;
  if (tried >= (trial.proven ? std::max(silence_, kCandidatePatience) : kCandidatePatience)) {
    if (++place == candidates.end()) place = candidates.begin();
    trial = {*place, now, false, false, signs};
    return {trial.endpoint, false};
  }
  const bool nudge = !trial.proven && !trial.nudged && tried >= kNudgeAfter;
  trial.nudged = trial.nudged || nudge;
  return {trial.endpoint, nudge};
}

void EndpointTrials::keep_only(const std::set<GatewayId>& ids) {
  std::erase_if(trials_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
}

}  // namespace cw::gateway
