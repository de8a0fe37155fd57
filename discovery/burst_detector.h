// Detects a burst: at least `limit` events in the current window or in the one before. Pure.
#pragma once

#include <cstddef>

#include "base/loop.h"

namespace cw::discovery {

class BurstDetector {
 public:
  BurstDetector(std::size_t limit, Duration window) : limit_(limit), window_(window) {}

  void add(std::size_t count, TimePoint now) {
    turn(now);
    count_ += count;
  }
  [[nodiscard]] bool active(TimePoint now) {
    turn(now);
    return count_ >= limit_ || before_ >= limit_;
  }

 private:
  void turn(TimePoint now) {
    if (now - began_ < window_) return;
    before_ = now - began_ < 2 * window_ ? count_ : 0;
    count_ = 0;
    began_ = now;
  }
  std::size_t limit_;
  Duration window_;
  TimePoint began_{};
  std::size_t count_ = 0;
  std::size_t before_ = 0;
};

}  // namespace cw::discovery
