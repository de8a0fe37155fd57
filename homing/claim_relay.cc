#include "homing/claim_relay.h"

#include <algorithm>

namespace cw::homing {

void ClaimRelay::set_targets(const std::set<GatewayId>& targets) {
  std::erase_if(targets_, [&](const auto& one) { return targets.count(one.first) == 0; });
  for (const auto& id : targets) targets_.try_emplace(id);
}

void ClaimRelay::changed(const std::string& cluster, const Prefix& prefix) {
  for (auto at = targets_.lower_bound({cluster, 0});
       at != targets_.end() && at->first.cluster == cluster; ++at) {
    list(at->second, prefix);
  }
}

// It may be claimed again with the same epoch, by another node.
void ClaimRelay::lost(const std::string& cluster, const Prefix& prefix) {
  for (auto at = targets_.lower_bound({cluster, 0});
       at != targets_.end() && at->first.cluster == cluster; ++at) {
    at->second.answers.erase(prefix);
  }
}

void ClaimRelay::list(Target& target, const Prefix& prefix) {
  if (!target.all && target.listed.insert(prefix).second) target.news.push_back(prefix);
}

bool ClaimRelay::knows(const Target& target, const Prefix& prefix, const Claim& claim) {
  const auto answer = target.answers.find(prefix);
  return answer != target.answers.end() && answer->second.claim == claim;
}

std::vector<Prefix> ClaimRelay::pick(const GatewayId& id, const Claims& claims, std::size_t limit,
                                     TimePoint now) {
  std::vector<Prefix> picked;
  const auto at = targets_.find(id);
  if (at == targets_.end()) return picked;
  auto& target = at->second;
  if (target.all) {
    target.all = false;
    for (const auto& [prefix, claim] : claims) list(target, prefix);
  }
  pick_news(target, claims, limit, now, picked);
  pick_again(target, claims, picked.size() + (limit - picked.size() + 1) / 2, now, picked);
  pick_turns(target, claims, limit, picked);
  return picked;
}

void ClaimRelay::say(Target& target, const Prefix& prefix, TimePoint now,
                     std::vector<Prefix>& picked) {
  picked.push_back(prefix);
  target.said.push_back({prefix, now});
  target.said_at[prefix] = now;
}

void ClaimRelay::pick_news(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                           std::vector<Prefix>& picked) {
  while (picked.size() < limit && !target.news.empty()) {
    const auto prefix = target.news.front();
    target.news.pop_front();
    target.listed.erase(prefix);
    const auto claim = claims.find(prefix);
    if (claim == claims.end() || knows(target, prefix, claim->second)) continue;
    say(target, prefix, now, picked);
  }
}

void ClaimRelay::pick_again(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                            std::vector<Prefix>& picked) {
  if (now < target.next_again) return;
  while (picked.size() < limit && !target.said.empty() && now - target.said.front().at >= kAgain) {
    const auto [prefix, said] = target.said.front();
    target.said.pop_front();
    const auto last = target.said_at.find(prefix);
    if (last == target.said_at.end() || last->second != said) continue;
    target.said_at.erase(last);
    const auto claim = claims.find(prefix);
    if (claim == claims.end() || knows(target, prefix, claim->second) ||
        target.listed.count(prefix) != 0) {
      continue;
    }
    say(target, prefix, now, picked);
    target.next_again = now + kAgain;
  }
}

void ClaimRelay::pick_turns(Target& target, const Claims& claims, std::size_t limit,
                            std::vector<Prefix>& picked) {
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

void ClaimRelay::heard(const GatewayId& id, const Prefix& prefix, const Claim& claim) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second.answers[prefix] = {claim, true};
}

void ClaimRelay::overruled(const GatewayId& id, const Prefix& prefix, const Claim& claim) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second.answers[prefix] = {claim, false};
}

bool ClaimRelay::holds(const GatewayId& id, const Prefix& prefix, const Claim& claim) const {
  const auto at = targets_.find(id);
  return at != targets_.end() && knows(at->second, prefix, claim) &&
         at->second.answers.at(prefix).holds;
}

void ClaimRelay::forget(const GatewayId& id) {
  const auto at = targets_.find(id);
  if (at != targets_.end()) at->second = {};
}

}  // namespace cw::homing
