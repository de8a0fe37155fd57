// A clock that leaves out the pauses of this process. A paused process (SIGSTOP, a frozen virtual
// machine, swap, a busy loop) receives nothing, so it must not conclude that others were silent
// (Lifeguard, Dadgar et al. 2018). Code that judges others by their silence measures it with this
// clock. Pure: time is an argument.
#pragma once

#include "base/loop.h"

namespace cw {

class AwakeTime {
 public:
  // look() must be called every `beat` while the loop turns. A gap longer than `most` is a pause.
  AwakeTime(Duration beat, Duration most) : beat_(beat), most_(most) {}
  void set_pace(Duration beat, Duration most) {
    beat_ = beat;
    most_ = most;
  }

  // look() is called regularly again from `now` on. The time before it counts as no pause, because
  // nothing was judged then.
  void begin(TimePoint now) {
    looked_ = true;
    last_ = now;
  }
  // Call this first at every wake-up. True: there was a pause just before `now`.
  bool look(TimePoint now) {
    const auto gap = looked_ ? now - last_ : Duration::zero();
    looked_ = true;
    last_ = now;
    if (gap <= most_) return false;
    paused_ += gap - beat_;
    return true;
  }
  // `now` on this clock.
  [[nodiscard]] TimePoint at(TimePoint now) const { return now - paused_; }

 private:
  Duration beat_;
  Duration most_;
  bool looked_ = false;
  TimePoint last_{};
  Duration paused_{};
};

}  // namespace cw
