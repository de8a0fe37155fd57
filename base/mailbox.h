// Bounded queue of values from other threads to the loop thread. When it is full, push() returns
// false and the sender counts the loss. Destroying the Mailbox closes it: later pushes return
// false, and `take` is not called any more.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/loop.h"

namespace cw {

template <typename T>
class Mailbox {
  struct Shared {
    std::mutex mutex;
    std::deque<T> queue;
    std::size_t limit = 0;
    bool open = true;
    bool scheduled = false;
    Loop* loop = nullptr;
    std::function<void(T)> take;  // used on the loop thread only
  };

 public:
  Mailbox(Loop& loop, std::size_t limit, std::function<void(T)> take)
      : shared_(std::make_shared<Shared>()) {
    shared_->limit = limit;
    shared_->loop = &loop;
    shared_->take = std::move(take);
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox() {
    const std::lock_guard lock(shared_->mutex);
    shared_->open = false;
    shared_->queue.clear();
  }

  class Sender {
   public:
    explicit Sender(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    // Any thread. False: the mailbox is full or closed, and the value is dropped.
    [[nodiscard]] bool push(T value) const {
      const std::lock_guard lock(shared_->mutex);
      if (!shared_->open || shared_->queue.size() >= shared_->limit) return false;
      shared_->queue.push_back(std::move(value));
      if (!shared_->scheduled) {
        shared_->scheduled = true;
        shared_->loop->post([shared = shared_] { drain(*shared); });
      }
      return true;
    }

   private:
    std::shared_ptr<Shared> shared_;
  };

  // The Sender is copyable and may outlive the Mailbox. It must not outlive the Loop while the
  // Mailbox is open.
  [[nodiscard]] Sender sender() const { return Sender(shared_); }

 private:
  static void drain(Shared& shared) {
    std::deque<T> batch;
    {
      const std::lock_guard lock(shared.mutex);
      shared.scheduled = false;
      batch.swap(shared.queue);
    }
    for (auto& value : batch) {
      {
        const std::lock_guard lock(shared.mutex);
        if (!shared.open) return;  // an earlier value's callback destroyed the owner
      }
      shared.take(std::move(value));
    }
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace cw
