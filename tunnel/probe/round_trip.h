// The smoothed round trip time and its jitter (RFC 6298, RFC 3550). Pure.
#pragma once

#include "base/loop.h"

namespace cw::tunnel {

class RoundTrip {
 public:
  void add(Duration sample) {
    if (!known()) {
      time_ = sample;
      return;
    }
    jitter_ += ((sample > time_ ? sample - time_ : time_ - sample) - jitter_) / 16;
    time_ += (sample - time_) / 8;
  }
  [[nodiscard]] bool known() const { return time_ != Duration::zero(); }
  [[nodiscard]] Duration time() const { return time_; }  // zero: no sample yet
  [[nodiscard]] Duration jitter() const { return jitter_; }
  // A reply that takes longer than this is late.
  [[nodiscard]] Duration patience() const { return time_ * 2 + jitter_ * 4; }

 private:
  Duration time_{};
  Duration jitter_{};
};

}  // namespace cw::tunnel
