// When the gateway looks at everything (a pass): soon after an event, at once after a change of a
// probe's result, and now and then without an event. Loop thread only.
#pragma once

#include <optional>

#include "netlink/kernel.h"

namespace cw::gateway {

class Schedule {
 public:
  // A burst of changes in the store becomes one pass.
  static constexpr Duration kDebounce = std::chrono::milliseconds(20);
  // Other programs' links and addresses change with every pod. A burst becomes one pass.
  static constexpr Duration kKernelDebounce = std::chrono::milliseconds(200);
  // How often tunnels are looked at, and how often a gateway that is not ready tries again.
  static constexpr Duration kTick = std::chrono::seconds(1);
  // A kernel pass without an event repairs changes that no event reported.
  static constexpr Duration kResync = std::chrono::seconds(60);

  struct Hooks {
    Loop::Callback pass;
    Loop::Callback tick;
    Loop::Callback dirty;  // the kernel may have changed; a pass follows
  };
  Schedule(Loop& loop, netlink::Kernel& kernel, const Hooks& hooks)
      : loop_(loop),
        hooks_(hooks),
        pass_soon_(loop, kDebounce, hooks.pass),
        kernel_changed_(loop, kKernelDebounce,
                        [this] {
                          hooks_.dirty();
                          hooks_.pass();
                        }),
        tick_(loop.every(kTick, hooks.tick)),
        resync_(loop.every(kResync,
                           [this] {
                             hooks_.dirty();
                             pass_soon();
                           })),
        kernel_events_(kernel.on_change([this] { kernel_changed_.poke(); })) {}

  void pass_soon() { pass_soon_.poke(); }
  // In a turn of its own, because a pass may replace the prober that called. A peer can change its
  // answers with each probe, so these passes keep a distance.
  void pass_at_once() {
    const auto now = loop_.now();
    if (last_at_once_ && now - *last_at_once_ < kDebounce) return pass_soon();
    last_at_once_ = now;
    at_once_ = loop_.after(Duration::zero(), hooks_.pass);
  }

 private:
  Loop& loop_;
  Hooks hooks_;
  Debounce pass_soon_;
  Debounce kernel_changed_;
  Handle at_once_;
  std::optional<TimePoint> last_at_once_;
  Handle tick_;
  Handle resync_;
  Handle kernel_events_;
};

}  // namespace cw::gateway
