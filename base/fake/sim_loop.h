// A Loop with virtual time, for tests: nothing happens until advance(). Timers fire in the order of
// their times, and in the order of creation when the times are equal. ready(fd) fires watch()
// callbacks. Also a seeded Random.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "base/loop.h"
#include "base/random.h"

namespace cw {

class SimLoop final : public Loop {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] WallTime wall_now() const override { return wall_ + (now_ - TimePoint{}); }
  [[nodiscard]] Handle after(Duration delay, Callback callback) override {
    return schedule(delay, Duration::zero(), std::move(callback));
  }
  [[nodiscard]] Handle every(Duration period, Callback callback) override {
    return schedule(period, period, std::move(callback));
  }
  [[nodiscard]] Handle watch(int fd, FdEvent event, Callback callback) override {
    const auto id = ++last_id_;
    watches_->emplace(id, Watch{fd, event, std::make_shared<Callback>(std::move(callback))});
    return Handle([watches = watches_, id] { watches->erase(id); });
  }
  void post(Callback callback) override { posted_.push_back(std::move(callback)); }
  [[nodiscard]] bool in_loop_thread() const override { return true; }

  // Runs everything that is due within `span`. now() is each timer's own time while it runs.
  void advance(Duration span) {
    const auto end = now_ + span;
    run_posted();
    while (!timers_->empty() && timers_->begin()->first.first <= end) {
      const auto key = timers_->begin()->first;
      auto timer = timers_->begin()->second;
      timers_->erase(timers_->begin());
      now_ = std::max(now_, key.first);
      if (timer.period > Duration::zero()) {
        // As libevent: a timer that is far behind skips the missed periods.
        const auto next = key.first + timer.period;
        timers_->emplace(Key{next < now_ ? now_ + timer.period : next, key.second}, timer);
      }
      (*timer.callback)();
      run_posted();
    }
    now_ = std::max(now_, end);
  }
  // As if the process was paused for `span`. Timers due in that time fire late, at the next
  // advance().
  void pause(Duration span) { now_ += span; }
  void run_ready() { advance(Duration::zero()); }

  // As if the kernel reported `fd` ready.
  void ready(int fd, FdEvent event) {
    auto copy = *watches_;
    for (auto& [id, watch] : copy) {
      if (watch.fd == fd && watch.event == event && watches_->count(id) != 0) (*watch.callback)();
    }
    run_posted();
  }
  void set_wall(WallTime at_start) { wall_ = at_start; }

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;
  struct Timer {
    Duration period{};
    std::shared_ptr<Callback> callback;
  };
  struct Watch {
    int fd = -1;
    FdEvent event = FdEvent::kRead;
    std::shared_ptr<Callback> callback;
  };

  Handle schedule(Duration delay, Duration period, Callback callback) {
    const auto id = ++last_id_;
    timers_->emplace(Key{now_ + delay, id},
                     Timer{period, std::make_shared<Callback>(std::move(callback))});
    return Handle([timers = timers_, id] {
      std::erase_if(*timers, [id](const auto& entry) { return entry.first.second == id; });
    });
  }
  void run_posted() {
    while (!posted_.empty()) {
      auto callback = std::move(posted_.front());
      posted_.pop_front();
      callback();
    }
  }

  TimePoint now_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'800'000'000)};
  std::uint64_t last_id_ = 0;
  std::shared_ptr<std::map<Key, Timer>> timers_ = std::make_shared<std::map<Key, Timer>>();
  std::shared_ptr<std::map<std::uint64_t, Watch>> watches_ =
      std::make_shared<std::map<std::uint64_t, Watch>>();
  std::deque<Callback> posted_;
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<std::byte> out) override {
    for (auto& byte : out) byte = static_cast<std::byte>(engine_() & 0xFFU);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace cw
