// The real Loop, on libevent's epoll backend. Constructed, run and destroyed on one thread.
#pragma once

#include <memory>

#include "base/loop.h"

struct event_base;

namespace cw {

class EventLoop final : public Loop {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] WallTime wall_now() const override;
  [[nodiscard]] Handle after(Duration delay, Callback callback) override;
  [[nodiscard]] Handle every(Duration period, Callback callback) override;
  [[nodiscard]] Handle watch(int fd, FdEvent event, Callback callback) override;
  void post(Callback callback) override;
  [[nodiscard]] bool in_loop_thread() const override;

  // Calls back when the process receives `signal`. The callback runs on the loop, not in the signal
  // handler.
  [[nodiscard]] Handle on_signal(int signal, Callback callback);
  void run();   // until stop()
  void stop();  // from the loop thread; run() returns after the current callback

  // How long callbacks waited because the loop did not turn: another callback took long, or the
  // process was paused. Loop thread only.
  struct Stalls {
    Duration total{};    // since the start; only stalls of kStall or longer
    Duration longest{};  // in the last one to two minutes
  };
  static constexpr Duration kStall = std::chrono::milliseconds(20);
  [[nodiscard]] Stalls stalls() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cw
