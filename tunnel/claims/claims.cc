#include "tunnel/claims/claims.h"

#include <algorithm>

namespace cw::tunnel {

bool take_claim(Claims& held, const ClaimKey& key, const Claim& claim) {
  const auto [at, fresh] = held.try_emplace(key, claim);
  if (fresh) return true;
  if (claim.epoch <= at->second.epoch) return false;
  at->second = claim;
  return true;
}

std::vector<ClaimKey> ClaimSender::pick(const std::string& target, const Claims& claims,
                                        std::size_t limit, std::uint64_t version) {
  auto& state = targets_[target];
  std::vector<ClaimKey> picked;
  if (version == 0 || state.no_news_of != version) {
    std::erase_if(state.held, [&](const auto& entry) { return claims.count(entry.first) == 0; });
    for (const auto& [key, claim] : claims) {
      if (picked.size() == limit) return picked;
      if (!holds(target, key, claim)) picked.push_back(key);
    }
    if (picked.empty()) state.no_news_of = version;
  }
  if (claims.empty()) return picked;
  auto next = claims.upper_bound(state.last);
  const auto unsaid = std::min(limit - picked.size(), claims.size() - picked.size());
  std::size_t said = 0;
  for (std::size_t step = 0; step < claims.size() && said < unsaid; ++step, ++next) {
    if (next == claims.end()) next = claims.begin();
    if (!holds(target, next->first, next->second)) continue;  // picked above
    picked.push_back(next->first);
    state.last = next->first;
    ++said;
  }
  return picked;
}

void ClaimSender::heard(const std::string& target, const ClaimKey& key, const Claim& claim) {
  targets_[target].held[key] = claim;
}

bool ClaimSender::holds(const std::string& target, const ClaimKey& key, const Claim& claim) const {
  const auto state = targets_.find(target);
  if (state == targets_.end()) return false;
  const auto held = state->second.held.find(key);
  return held != state->second.held.end() && held->second == claim;
}

void ClaimSender::keep_only(const std::set<std::string>& targets) {
  std::erase_if(targets_, [&](const auto& entry) { return targets.count(entry.first) == 0; });
}

}  // namespace cw::tunnel
