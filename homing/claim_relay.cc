#include "homing/claim_relay.h"

#include <algorithm>

namespace cw::homing {

void ClaimRelay::set_targets(const std::set<GatewayId>& targets) {
  std::erase_if(targets_, [&](const auto& one) { return targets.count(one.first) == 0; });
  for (const auto& id : targets) targets_.try_emplace(id);
}

void ClaimRelay::changed(const std::string& cluster, const Share& share) {
  for (auto at = targets_.lower_bound({cluster, 0});
       at != targets_.end() && at->first.cluster == cluster; ++at) {
    list(at->second, share);
  }
}

// It may be claimed again with the same epoch, by another node.
void ClaimRelay::lost(const std::string& cluster, const Share& share) {
  for (auto at = targets_.lower_bound({cluster, 0});
       at != targets_.end() && at->first.cluster == cluster; ++at) {
    at->second.answers.erase(share);
  }
}

void ClaimRelay::list(Target& target, const Share& share) {
  if (!target.all && target.listed.insert(share).second) target.news.push_back(share);
}

bool ClaimRelay::knows(const Target& target, const Share& share, const Claim& claim) {
  const auto answer = target.answers.find(share);
  return answer != target.answers.end() && answer->second.claim == claim;
}

std::vector<Share> ClaimRelay::pick(const GatewayId& id, const Claims& claims, std::size_t limit,
                                    TimePoint now) {
  std::vector<Share> picked;
  const auto at = targets_.find(id);
  if (at == targets_.end()) return picked;
  auto& target = at->second;
  if (target.all) {
    target.all = false;
    for (const auto& [share, claim] : claims) list(target, share);
  }
  pick_news(target, claims, limit, now, picked);
  pick_again(target, claims, picked.size() + (limit - picked.size() + 1) / 2, now, picked);
  pick_turns(target, claims, limit, picked);
  return picked;
}

void ClaimRelay::say(Target& target, const Share& share, TimePoint now,
                     std::vector<Share>& picked) {
  picked.push_back(share);
  target.said.push_back({share, now});
  target.said_at[share] = now;
}

void ClaimRelay::pick_news(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                           std::vector<Share>& picked) {
  while (picked.size() < limit && !target.news.empty()) {
    const auto share = target.news.front();
    target.news.pop_front();
    target.listed.erase(share);
    const auto claim = claims.find(share);
    if (claim == claims.end() || knows(target, share, claim->second)) continue;
    say(target, share, now, picked);
  }
}

void ClaimRelay::pick_again(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                            std::vector<Share>& picked) {
  if (now < target.next_again) return;
  while (picked.size() < limit && !target.said.empty() && now - target.said.front().at >= kAgain) {
    const auto [share, said] = target.said.front();
    target.said.pop_front();
    const auto last = target.said_at.find(share);
    if (last == target.said_at.end() || last->second != said) continue;
    target.said_at.erase(last);
    const auto claim = claims.find(share);
    if (claim == claims.end() || knows(target, share, claim->second) ||
        target.listed.count(share) != 0) {
      continue;
    }
    say(target, share, now, picked);
    target.next_again = now + kAgain;
  }
}

void ClaimRelay::pick_turns(Target& target, const Claims& claims, std::size_t limit,
                            std::vector<Share>& picked) {
  const auto steps = std::min(limit, claims.size());
  auto next = claims.upper_bound(target.last);
  for (std::size_t step = 0; step < steps && picked.size() < limit; ++step, ++next) {
    if (next == claims.end()) next = claims.begin();
    target.last = next->first;
    // What it does not know is news, and stands above.
    if (knows(target, next->first, next->second)) picked.push_back(next->first);
  }
}

bool ClaimRelay::due(const GatewayId& id, TimePoint now) const {
  const auto at = targets_.find(id);
  if (at == targets_.end()) return false;
  const auto& target = at->second;
  return target.all || !target.news.empty() ||
         (!target.said.empty() && now >= target.next_again &&
          now - target.said.front().at >= kAgain);
}

void ClaimRelay::heard(const GatewayId& id, const Share& share, const Claim& claim) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second.answers[share] = {claim, true};
}

void ClaimRelay::overruled(const GatewayId& id, const Share& share, const Claim& claim) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second.answers[share] = {claim, false};
}

bool ClaimRelay::holds(const GatewayId& id, const Share& share, const Claim& claim) const {
  const auto at = targets_.find(id);
  return at != targets_.end() && knows(at->second, share, claim) &&
         at->second.answers.at(share).holds;
}

void ClaimRelay::forget(const GatewayId& id) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second = {};
}

}  // namespace cw::homing
