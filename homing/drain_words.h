// "I am draining", as remote gateways say it in their answers. Each change moves prefixes, so those
// of one cluster have a budget: 128 at once (each of 64 gateways drains and comes back), then one
// per second. A change beyond it counts at a later look, if the gateway still says it. Pure.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/token_bucket.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

class DrainWords {
 public:
  static constexpr double kPerSecond = 1;
  static constexpr double kBurst = 128;

  // What the gateway says now; what counts. Call it at each look at the answers.
  [[nodiscard]] bool take(const GatewayId& id, bool draining, TimePoint now) {
    auto& counts = counts_[id];
    if (counts == draining) return counts;
    auto& tokens = tokens_.try_emplace(id.cluster, kPerSecond, kBurst).first->second;
    if (tokens.wait(now) > Duration::zero()) return counts;
    tokens.take(1, now);
    return counts = draining;
  }
  // Gateways not named are forgotten. The budgets of clusters stay.
  void keep_only(const std::set<GatewayId>& ids) {
    std::erase_if(counts_, [&](const auto& one) { return ids.count(one.first) == 0; });
  }

 private:
  std::map<GatewayId, bool> counts_;
  std::map<std::string, TokenBucket> tokens_;  // by cluster
};

}  // namespace cw::homing
