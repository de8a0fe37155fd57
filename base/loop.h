// The interface of the one thread that owns a daemon's control state. Timers, file descriptors and
// signals call back on it. Other threads may only post(). Destroying a handle cancels it, so no
// callback outlives its owner. The real loop is EventLoop (libevent). Tests use fake/SimLoop with
// virtual time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace cw {

using Duration = std::chrono::nanoseconds;
// Monotonic, and includes suspend (CLOCK_BOOTTIME). Only differences have a meaning.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Cancels something when destroyed: a timer, a watched descriptor, a subscription, a request.
class Handle {
 public:
  Handle() = default;
  explicit Handle(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  Handle(Handle&& other) noexcept : cancel_(std::move(other.cancel_)) { other.cancel_ = nullptr; }
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      reset();
      cancel_ = std::move(other.cancel_);
      other.cancel_ = nullptr;
    }
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { reset(); }

  void reset() {
    if (auto cancel = std::move(cancel_); cancel) {
      cancel_ = nullptr;
      cancel();
    }
  }
  [[nodiscard]] bool active() const { return static_cast<bool>(cancel_); }

 private:
  std::function<void()> cancel_;
};

enum class FdEvent { kRead, kWrite };

class Loop {
 public:
  using Callback = std::function<void()>;
  virtual ~Loop() = default;

  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  // Once, after `delay`. Zero: in the next turn.
  [[nodiscard]] virtual Handle after(Duration delay, Callback callback) = 0;
  // Every `period` until the handle is destroyed, first after one `period`.
  [[nodiscard]] virtual Handle every(Duration period, Callback callback) = 0;
  // Level-triggered. The descriptor must stay open while the handle exists.
  [[nodiscard]] virtual Handle watch(int fd, FdEvent event, Callback callback) = 0;
  // Runs `callback` on the loop thread in the next turn. The only call that other threads may make.
  // Prefer Mailbox (base/mailbox.h): it is bounded and closes with its owner.
  virtual void post(Callback callback) = 0;
  [[nodiscard]] virtual bool in_loop_thread() const = 0;
};

// Runs `callback` once per burst of poke() calls, `quiet` after the first of them.
class Debounce {
 public:
  Debounce(Loop& loop, Duration quiet, Loop::Callback callback)
      : loop_(loop), quiet_(quiet), callback_(std::move(callback)) {}
  void poke() {
    if (timer_.active()) return;
    timer_ = loop_.after(quiet_, [this] {
      timer_.reset();
      callback_();
    });
  }

 private:
  Loop& loop_;
  Duration quiet_;
  Loop::Callback callback_;
  Handle timer_;
};

}  // namespace cw
