// When the next pass runs: one pass per burst of poke() calls, and at most five per second. Loop
// thread only.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "base/loop.h"

namespace cw::routeagent {

class PassTimer {
 public:
  PassTimer(Loop& loop, std::function<void()> pass) : loop_(loop), pass_(std::move(pass)) {}

  void poke() {
    if (!due()) run_after(std::max<Duration>(kQuiet, last_ + kBetween - loop_.now()));
  }
  // Instead of the pass that is due. Zero: in the next turn.
  void run_after(Duration delay) {
    timer_ = loop_.after(delay, [this] {
      timer_.reset();
      pass_();
    });
  }
  [[nodiscard]] bool due() const { return timer_.active(); }
  // A pass begins, whatever started it.
  void begun() { last_ = loop_.now(); }

 private:
  // One change causes several events of the store or the kernel.
  static constexpr Duration kQuiet = std::chrono::milliseconds(20);
  // Each pod that starts or stops changes links and addresses of the host.
  static constexpr Duration kBetween = std::chrono::milliseconds(200);

  Loop& loop_;
  std::function<void()> pass_;
  TimePoint last_{};
  Handle timer_;
};

}  // namespace cw::routeagent
