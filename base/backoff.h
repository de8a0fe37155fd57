// Exponential backoff with jitter: each wait is random between half of the delay and the delay.
// Pure: randomness is an argument.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/random.h"

namespace cw {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  Backoff(Duration first, Duration most) : first_(first), most_(most), next_(first) {}

  // The time to wait before the next try. The delay doubles with every call, up to `most`.
  [[nodiscard]] Duration next(Random& random) {
    const auto full = next_;
    next_ = std::min(most_, next_ * 2);
    const auto half = static_cast<std::uint64_t>(full.count()) / 2;
    return Duration(
        static_cast<Duration::rep>(half + (half == 0 ? 0 : random.next() % (half + 1))));
  }
  void reset() { next_ = first_; }  // after a success

 private:
  Duration first_;
  Duration most_;
  Duration next_;
};

}  // namespace cw
