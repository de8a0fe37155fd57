// How often something may happen: so many at once, then so many per second. Pure.
#pragma once

#include <algorithm>

#include "base/loop.h"

namespace cw {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // A larger burst, with the tokens that it has more. A smaller one changes nothing.
  void grow_to(double burst) {
    if (burst <= burst_) return;
    tokens_ += burst - burst_;
    burst_ = burst;
  }
  // Takes them in any case; what is missing is a debt.
  void take(double tokens, TimePoint now) {
    refill(now);
    tokens_ -= tokens;
  }
  // Until there is a whole token; zero: there is one.
  [[nodiscard]] Duration wait(TimePoint now) {
    refill(now);
    if (tokens_ >= 1) return Duration::zero();
    const auto seconds = (1 - tokens_) / per_second_;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)) +
           Duration(1);
  }

 private:
  void refill(TimePoint now) {
    if (last_ != TimePoint{} && now > last_) {
      const auto seconds = std::chrono::duration<double>(now - last_).count();
      tokens_ = std::min(burst_, tokens_ + seconds * per_second_);
    }
    last_ = now;
  }

  double per_second_;
  double burst_;
  double tokens_;
  TimePoint last_{};
};

}  // namespace cw
