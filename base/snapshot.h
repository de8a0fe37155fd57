// One writer publishes immutable values, and many reader threads read the newest one. While nothing
// new was published, reading costs one atomic load. std::atomic<std::shared_ptr> is not used,
// because that of libstdc++ 12 fails under ThreadSanitizer.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace cw {

template <typename T>
class Snapshot {
 public:
  explicit Snapshot(std::shared_ptr<const T> first) : value_(std::move(first)) {}

  // Any thread. Readers see the value at their next get().
  void publish(std::shared_ptr<const T> next) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(next);  // the old value is freed outside the lock, by the last thread that has it
    }
    version_.fetch_add(1, std::memory_order_release);
  }

  [[nodiscard]] std::shared_ptr<const T> load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  // One per reading thread. Must not outlive the Snapshot.
  class Reader {
   public:
    explicit Reader(const Snapshot& source) : source_(source) {}
    // The reference is valid until this reader's next get().
    [[nodiscard]] const T& get() {
      const auto version = source_.version_.load(std::memory_order_acquire);
      if (version != seen_) {
        value_ = source_.load();
        seen_ = version;
      }
      return *value_;
    }

   private:
    const Snapshot& source_;
    std::shared_ptr<const T> value_;
    std::uint64_t seen_ = 0;
  };

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace cw
