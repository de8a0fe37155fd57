#include "homing/claims.h"

#include <algorithm>

namespace cw::homing {

void Words::say(std::uint32_t speaker, const Claim& claim, TimePoint now, bool old) {
  const auto said = old ? now - kLife : now;
  const auto at = std::lower_bound(
      words_.begin(), words_.end(), speaker,
      [](const Word& word, std::uint32_t number) { return word.speaker < number; });
  if (at != words_.end() && at->speaker == speaker) {
    *at = {speaker, claim, said};
  } else {
    words_.insert(at, {speaker, claim, said});
  }
}

Claim Words::held(TimePoint now) const {
  const Word* best = nullptr;
  bool best_lives = false;
  for (const auto& word : words_) {
    const bool lives = now - word.said < kLife;
    const bool better = best == nullptr || (lives && !best_lives) ||
                        (lives == best_lives && word.claim.epoch > best->claim.epoch);
    if (!better) continue;
    best = &word;
    best_lives = lives;
  }
  return best == nullptr ? Claim{} : best->claim;
}

std::vector<ClaimKey> ClaimSender::pick(const std::string& target, const Claims& claims,
                                        std::size_t limit) {
  auto& state = targets_[target];
  std::vector<ClaimKey> picked;
  std::erase_if(state.answers, [&](const auto& entry) { return claims.count(entry.first) == 0; });
  for (const auto& [key, claim] : claims) {
    if (picked.size() == limit) return picked;
    if (!holds(target, key, claim)) picked.push_back(key);
  }
  if (claims.empty()) return picked;
  auto next = claims.upper_bound(state.last);
  const auto unsaid = std::min(limit - picked.size(), claims.size() - picked.size());
  std::size_t said = 0;
  for (std::size_t step = 0; step < claims.size() && said < unsaid; ++step, ++next) {
    if (next == claims.end()) next = claims.begin();
    if (!holds(target, next->first, next->second)) continue;  // the loop above picked it
    picked.push_back(next->first);
    state.last = next->first;
    ++said;
  }
  return picked;
}

void ClaimSender::heard(const std::string& target, const ClaimKey& key, const Claim& claim) {
  targets_[target].answers[key] = claim;
}

bool ClaimSender::holds(const std::string& target, const ClaimKey& key, const Claim& claim) const {
  const auto state = targets_.find(target);
  if (state == targets_.end()) return false;
  const auto answer = state->second.answers.find(key);
  return answer != state->second.answers.end() && answer->second == claim;
}

void ClaimSender::keep_only(const std::set<std::string>& targets) {
  std::erase_if(targets_, [&](const auto& entry) { return targets.count(entry.first) == 0; });
}

}  // namespace cw::homing
