// How a gateway that was away takes its prefixes back. Its nodes and the remote gateways each see
// it again at a time of their own, up to seconds apart (detectors damp flapping), and each holds it
// down from then on; if those hold-downs ended seconds apart, one side would send where the other
// does not expect it yet, and WireGuard drops that. So the gateway gives all of them one start:
// after a comeback it answers every probe as a draining one does ("only if there is nobody else")
// until everybody has seen it; the hold-downs begin when it stops. Claims (docs/protocol/homing.md)
// made that needless for prefixes of nodes with a route agent; it stays for those that nobody
// claims, which both sides place by the same rule alone. Pure: time is an argument.
#pragma once

#include <optional>

#include "base/loop.h"

namespace cw::gateway {

// The others' damped detectors see a comeback up to this much later than it happened: at most 48
// replies in a row (tunnel/probe/detector.h), 7.2 s at the nodes' interval.
inline constexpr Duration kComebackWait = std::chrono::seconds(10);

class Comeback {
 public:
  // We start, and somebody else carries already. (When nobody does there is nothing to wait for.)
  void started(bool others_carry, TimePoint now) {
    if (others_carry) until_ = now + kComebackWait;
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
    if ((back || stalled > detection) && others_carry) until_ = now + kComebackWait;
  }
  [[nodiscard]] bool waits(TimePoint now) const { return until_ && now < *until_; }

 private:
  std::optional<TimePoint> until_;
  bool worked_ = false;
  bool lost_all_ = false;
};

}  // namespace cw::gateway
