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
  const auto begin = [&](const Endpoint& endpoint) -> EndpointPick {
    trial = {endpoint, now, false, false, signs};
    return {endpoint, false};
  };
  if (fresh) return begin(candidates.front());
  const bool progress = signs.usable || signs.last_handshake != trial.signs.last_handshake ||
                        (signs.session && signs.rx_bytes > trial.signs.rx_bytes);
  trial.signs = signs;
  if (progress) {
    trial.since = now;
    trial.proven = true;
    return {trial.endpoint, false};
  }
  const auto tried = now - trial.since;
  const bool patient =
      tried < (trial.proven ? std::max(silence_, kCandidatePatience) : kCandidatePatience);
  const auto place = std::find(candidates.begin(), candidates.end(), trial.endpoint);
  const bool gone = place == candidates.end();
  if (patient && (!gone || trial.proven)) {
    const bool nudge = !trial.proven && !trial.nudged && tried >= kNudgeAfter;
    trial.nudged = trial.nudged || nudge;
    return {trial.endpoint, nudge};
  }
  return begin(gone || place + 1 == candidates.end() ? candidates.front() : *(place + 1));
}

void EndpointTrials::keep_only(const std::set<GatewayId>& ids) {
  std::erase_if(trials_, [&](const auto& entry) { return ids.count(entry.first) == 0; });
}

}  // namespace cw::gateway
