#include "base/event_loop.h"

#include <event2/event.h>
#include <event2/thread.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"

namespace cw {

namespace {

TimePoint clock_now(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return TimePoint(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

timeval timeval_of(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  timeval tv{};
  if (us > 0) {
    tv.tv_sec = us / 1'000'000;
    tv.tv_usec = us % 1'000'000;
  }
  return tv;
}

// Keeps the sum of all stalls, and the longest of this minute and of the minute before.
class StallMeter {
 public:
  void note(Duration stall, TimePoint now) {
    turn_page(now);
    longest_ = std::max(longest_, stall);
    if (stall >= EventLoop::kStall) total_ += stall;
  }
  [[nodiscard]] EventLoop::Stalls read(TimePoint now) {
    turn_page(now);
    return {total_, std::max(longest_, before_)};
  }

 private:
  void turn_page(TimePoint now) {
    if (now - since_ < std::chrono::minutes(1)) return;
    before_ = now - since_ < std::chrono::minutes(2) ? longest_ : Duration::zero();
    longest_ = Duration::zero();
    since_ = now;
  }

  Duration total_{};
  Duration longest_{};
  Duration before_{};
  TimePoint since_ = clock_now(CLOCK_BOOTTIME);
};

struct Entry {
  Loop::Callback callback;
  StallMeter* stalls = nullptr;
  event* raw = nullptr;
  std::optional<TimePoint> due{};  // timers only
  Duration period{};
};

// A callback may destroy its own handle. This copy keeps the entry alive until it returns.
void fire(evutil_socket_t /*fd*/, short /*what*/, void* argument) {
  const auto entry = *static_cast<std::shared_ptr<Entry>*>(argument);
  if (entry->raw == nullptr) return;
  const auto begun = clock_now(CLOCK_BOOTTIME);
  const auto late = entry->due ? begun - *entry->due : Duration::zero();
  // As libevent does: from the time it was due, or where that is over, from now.
  if (entry->due) {
    const auto next = *entry->due + entry->period;
    entry->due = next < begun ? begun + entry->period : next;
  }
  auto& stalls = *entry->stalls;
  entry->callback();
  const auto ended = clock_now(CLOCK_BOOTTIME);
  stalls.note(std::max(late, ended - begun), ended);
}

}  // namespace

struct EventLoop::State {
  event_base* base = nullptr;
  std::thread::id thread = std::this_thread::get_id();
  std::mutex mutex;
  std::deque<Callback> posted;
  event* wake = nullptr;
  StallMeter stalls;

  Handle add(int fd, short what, std::optional<Duration> timeout, Callback callback) {
    auto* holder = new std::shared_ptr<Entry>(std::make_shared<Entry>());
    auto entry = *holder;
    entry->callback = std::move(callback);
    entry->stalls = &stalls;
    timeval tv{};
    if (timeout) {
      tv = timeval_of(*timeout);
      entry->due = clock_now(CLOCK_BOOTTIME) + *timeout;
      entry->period = *timeout;
    }
    entry->raw = event_new(base, fd, what, fire, holder);
    CW_CHECK(entry->raw != nullptr);
    CW_CHECK(event_add(entry->raw, timeout ? &tv : nullptr) == 0);
    return Handle([entry, holder] {
      event_free(entry->raw);
      entry->raw = nullptr;
      delete holder;
    });
  }

  void run_posted() {
    std::deque<Callback> batch;
    {
      const std::lock_guard lock(mutex);
      batch.swap(posted);
    }
    const auto begun = clock_now(CLOCK_BOOTTIME);
    for (auto& callback : batch) callback();
    const auto ended = clock_now(CLOCK_BOOTTIME);
    stalls.note(ended - begun, ended);
  }
};

EventLoop::EventLoop() : state_(std::make_unique<State>()) {
  CW_CHECK(evthread_use_pthreads() == 0);
  auto* config = event_config_new();
  event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
  state_->base = event_base_new_with_config(config);
  event_config_free(config);
  CW_CHECK(state_->base != nullptr);
  state_->wake = event_new(
      state_->base, -1, 0,
      [](evutil_socket_t, short, void* state) { static_cast<State*>(state)->run_posted(); },
      state_.get());
  CW_CHECK(state_->wake != nullptr);
}

EventLoop::~EventLoop() {
  event_free(state_->wake);
  event_base_free(state_->base);
}

TimePoint EventLoop::now() const { return clock_now(CLOCK_BOOTTIME); }

WallTime EventLoop::wall_now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

Handle EventLoop::after(Duration delay, Callback callback) {
  return state_->add(-1, 0, std::max(delay, Duration::zero()), std::move(callback));
}

Handle EventLoop::every(Duration period, Callback callback) {
  return state_->add(-1, EV_PERSIST, period, std::move(callback));
}

Handle EventLoop::watch(int fd, FdEvent event, Callback callback) {
  const auto what = event == FdEvent::kRead ? EV_READ : EV_WRITE;
  return state_->add(fd, static_cast<short>(what | EV_PERSIST), std::nullopt, std::move(callback));
}

void EventLoop::post(Callback callback) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(callback));
  }
  event_active(state_->wake, EV_TIMEOUT, 0);
}

bool EventLoop::in_loop_thread() const { return std::this_thread::get_id() == state_->thread; }

Handle EventLoop::on_signal(int signal, Callback callback) {
  return state_->add(signal, EV_SIGNAL | EV_PERSIST, std::nullopt, std::move(callback));
}

void EventLoop::run() { event_base_loop(state_->base, EVLOOP_NO_EXIT_ON_EMPTY); }

void EventLoop::stop() { event_base_loopbreak(state_->base); }

EventLoop::Stalls EventLoop::stalls() const { return state_->stalls.read(now()); }

}  // namespace cw
