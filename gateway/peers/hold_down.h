// Which remote gateways wait after a comeback, so that a flapping gateway does not take traffic
// back and forth. The same rule as a node's for its local gateways (routeagent/choose), with the
// same triggers: whoever sends a prefix's traffic and whoever accepts it must name the same
// gateway. A gateway is good if its tunnel works by our probes and it is not draining; one that
// becomes good again waits. Where nobody of a cluster is good everything is forgotten: the first to
// come back must not keep all of it. What is good the first time since we started does not wait.
// Pure: time is an argument.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "base/loop.h"
#include "gateway/feed/statement.h"

namespace cw::gateway {

class HoldDown {
 public:
  explicit HoldDown(Duration hold) : hold_(hold) {}

  // Who is good now, of all there are. Those not named are forgotten.
  void update(const std::map<GatewayId, bool>& good, TimePoint now);
  [[nodiscard]] std::set<GatewayId> held(TimePoint now) const;
  // When held() next changes by itself.
  [[nodiscard]] std::optional<TimePoint> next_end(TimePoint now) const;

 private:
  struct Standing {
    bool good = false;
    bool ever_good = false;
    std::optional<TimePoint> held_until;
  };
  Duration hold_;
  std::map<GatewayId, Standing> standings_;
};

}  // namespace cw::gateway
