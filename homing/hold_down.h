// The only damper of switches. A gateway that fell and is good again is not preferred for a while,
// so that a flapping one moves nothing. Each fall soon after a comeback doubles that time, up to 16
// times the configured one. A gateway that is good for the first time is not held. Pure: time is
// an argument.
#pragma once

#include <algorithm>

#include "base/loop.h"

namespace cw::homing {

// Of one gateway, for one remote cluster and family.
class HoldDown {
 public:
  // Records whether the gateway is good now.
  void look(bool good, Duration configured, TimePoint now) {
    if (good && !good_) {
      length_ = seen_good_ ? configured * (1U << flaps_) : Duration::zero();
      good_since_ = now;
      seen_good_ = true;
    } else if (!good && good_) {
      // Soon: less than twice as long good as it was held.
      const bool soon = length_ > Duration::zero() && now - good_since_ < 2 * length_;
      flaps_ = soon ? std::min(flaps_ + 1, 4U) : 0;
    }
    good_ = good;
  }
  [[nodiscard]] bool active(TimePoint now) const { return good_ && now < end(); }
  [[nodiscard]] TimePoint end() const { return good_since_ + length_; }

 private:
  bool good_ = false;
  bool seen_good_ = false;
  unsigned flaps_ = 0;
  Duration length_{};
  TimePoint good_since_{};
};

}  // namespace cw::homing
