// What our probes say of the remote gateways. Computed once per change, because every probe of
// every node asks for it. Pure.
#pragma once

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "tunnel/probe/prober.h"

namespace cw::homing {

using tunnel::GatewayId;

struct Verdicts {
  tunnel::ProbeViews views;
  std::set<GatewayId> working = {};
  std::set<GatewayId> draining = {};
  std::set<std::string> reached = {};
  std::set<std::string> degraded = {};  // reached, and every link that works loses much
};

[[nodiscard]] inline Verdicts verdicts_of(const std::set<GatewayId>& gateways,
                                          tunnel::ProbeViews views) {
  Verdicts verdicts{std::move(views)};
  std::set<std::string> good;
  for (const auto& id : gateways) {
    const auto view = verdicts.views.find(id);
    if (view == verdicts.views.end()) continue;
    if (view->second.draining) verdicts.draining.insert(id);
    if (!view->second.usable) continue;
    verdicts.working.insert(id);
    verdicts.reached.insert(id.cluster);
    if (view->second.state != tunnel::LinkState::kDegraded) good.insert(id.cluster);
  }
  std::set_difference(verdicts.reached.begin(), verdicts.reached.end(), good.begin(), good.end(),
                      std::inserter(verdicts.degraded, verdicts.degraded.end()));
  return verdicts;
}

}  // namespace cw::homing
