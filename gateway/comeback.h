// When a gateway that was away takes its prefixes back. Its nodes and the remote gateways each see
// it again at a time of their own, seconds apart; if each ended a hold-down of its own, one side
// would send where the other does not expect it yet, and WireGuard drops that. So the gateway
// itself ends the wait, for all at once: after a comeback it answers every probe as a draining one
// does ("only if there is nobody else"), a little longer than their hold-downs last. Pure: time is
// an argument.
#pragma once

#include <optional>

#include "base/loop.h"

namespace cw::gateway {

// The others' damped detectors see a comeback up to this much later than it happened.
inline constexpr Duration kComebackMargin = std::chrono::seconds(10);

class Comeback {
 public:
  explicit Comeback(Duration hold_down) : wait_(hold_down + kComebackMargin) {}

  // We start, and somebody else carries already. (When nobody does there is nothing to wait for.)
  void started(bool others_carry, TimePoint now) {
    if (others_carry) until_ = now + wait_;
  }
  // Called often, with whether any tunnel works and how long the process had not run before: after
  // a stall or the loss of everything the others have moved away.
  void look(bool any_tunnel, Duration stalled, Duration detection, bool others_carry,
            TimePoint now) {
    const bool back = any_tunnel && lost_all_;
    if (any_tunnel) {
      lost_all_ = false;
      worked_ = true;
    } else if (worked_) {
      lost_all_ = true;
    }
    if ((back || stalled > detection) && others_carry) until_ = now + wait_;
  }
  [[nodiscard]] bool waits(TimePoint now) const { return until_ && now < *until_; }

 private:
  Duration wait_;
  std::optional<TimePoint> until_;
  bool worked_ = false;
  bool lost_all_ = false;
};

}  // namespace cw::gateway
