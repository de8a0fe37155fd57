// Time without this process' own pauses. A process that was paused (SIGSTOP, a frozen virtual
// machine, swap, a loop that was kept busy) heard nothing meanwhile, and must not conclude that
// others were silent (Lifeguard, Dadgar et al. 2018). Who judges others by silence measures it with
// this clock. Pure: time is an argument.
#pragma once

#include "base/loop.h"

namespace cw {

class AwakeTime {
 public:
  // look() is called every `beat` as long as the loop turns. A gap of more than `most` is a pause.
  AwakeTime(Duration beat, Duration most) : beat_(beat), most_(most) {}
  void set_pace(Duration beat, Duration most) {
    beat_ = beat;
    most_ = most;
  }

  // From `now` on look() is called again. Until then there was nothing to judge, so that no call
  // came is no pause.
  void begin(TimePoint now) {
    looked_ = true;
    last_ = now;
  }
  // Every wake-up begins with this. True: there was a pause just before `now`.
  bool look(TimePoint now) {
    const auto gap = looked_ ? now - last_ : Duration::zero();
    looked_ = true;
    last_ = now;
    if (gap <= most_) return false;
    paused_ += gap - beat_;
    return true;
  }
  // `now` as this clock has it.
  [[nodiscard]] TimePoint at(TimePoint now) const { return now - paused_; }
  [[nodiscard]] Duration paused() const { return paused_; }  // in all

 private:
  Duration beat_;
  Duration most_;
  bool looked_ = false;
  TimePoint last_{};
  Duration paused_{};
};

}  // namespace cw
