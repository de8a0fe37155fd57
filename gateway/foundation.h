// The parts of the gateway that are there before its identity is known, and that outlive a change
// of it. Constructing starts them, in order of dependency.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gateway/cluster_view.h"
#include "gateway/config.h"
#include "gateway/deps.h"
#include "gateway/drain.h"
#include "gateway/own_identity.h"
#include "gateway/path/path.h"
#include "gateway/peers/name_lookups.h"
#include "gateway/report.h"
#include "gateway/schedule.h"

namespace cw::gateway {

struct Foundation {
  // `pass` looks at everything. `tick` comes every second.
  Foundation(Deps outside, Config configured, std::optional<tunnel::Key> file_key,
             Loop::Callback pass, Loop::Callback tick)
      : deps(std::move(outside)),
        config(std::move(configured)),
        schedule(deps.loop, deps.kernel,
                 {std::move(pass), std::move(tick), [this] { path.mark_dirty(); }}),
        path(deps.slow_kernel == nullptr ? deps.kernel : *deps.slow_kernel, deps.background,
             [this] { schedule.pass_soon(); }),
        view(deps.loop, deps.store, deps.random, config.ns,
             file_key ? std::string() : key_secret(config.ordinal),
             [this] { schedule.pass_soon(); }),
        identity(deps, config, std::move(file_key), view),
        drain(deps.loop, config, view),
        report(deps, config, view),
        names(deps.loop, deps.name_background, deps.lookup, [this] { schedule.pass_soon(); }) {}

  // Why the gateway is not ready, as far as these parts know.
  [[nodiscard]] std::vector<std::string> not_ready() const {
    auto reasons = identity.troubles();
    if (drain.stopping()) reasons.emplace_back("draining");
    return reasons;
  }

  Deps deps;
  Config config;
  Schedule schedule;
  Path path;
  ClusterView view;
  OwnIdentity identity;
  Drain drain;
  Report report;
  NameLookups names;
  tunnel::Refusals refused_in_tunnel{deps.loop, deps.metrics, "tunnel"};
  tunnel::Refusals refused_of_nodes{deps.loop, deps.metrics, "nodes"};
  std::optional<TimePoint> tunnels_since;  // the first probes in tunnels
  bool settled = false;                    // nodes are answered
};

}  // namespace cw::gateway
