// Which remote gateways may carry prefixes: those whose tunnel works by our probes. One that fell
// and came back waits, so that a flapping gateway does not take traffic back and forth; it waits
// only while another one of its cluster carries. What works the first time since we started does
// not wait. Pure: time is an argument.
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

  // What works now, of all there are. Those not named are forgotten.
  void update(const std::map<GatewayId, bool>& works, TimePoint now);
  // May carry: works and does not wait, or works and nobody of its cluster works without waiting.
  [[nodiscard]] std::set<GatewayId> usable(TimePoint now) const;
  [[nodiscard]] bool held(const GatewayId& id, TimePoint now) const;
  // When usable() next changes by itself.
  [[nodiscard]] std::optional<TimePoint> next_end(TimePoint now) const;

 private:
  struct State {
    bool works = false;
    bool worked_once = false;
    std::optional<TimePoint> held_until;
  };
  [[nodiscard]] bool carried(const GatewayId& id, TimePoint now) const;

  Duration hold_;
  std::map<GatewayId, State> states_;
};

}  // namespace cw::gateway
