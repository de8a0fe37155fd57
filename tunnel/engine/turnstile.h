// How several workers share one source without reordering it: one at a time reads a batch and draws
// its ticket (the leader, workers.h), all work in parallel, and batches leave in the order of their
// tickets. Whoever finishes the batch that is due takes out every finished one behind it, so that
// no worker is ever woken only to hand on another's work.
//
//   source -> [draw: one] -> batch 7 \                       / 5, 6, 7 ... -> [leave: one]
//                            batch 5  } work in parallel ->
//                            batch 6 /
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace cw::tunnel::engine {

template <typename Batch>
class Turnstile {
 public:
  // A fixed number of batches: when all are taken, readers wait, and the source's queue (a socket
  // buffer, the TUN's ring) is what overflows.
  explicit Turnstile(std::size_t batches) : done_(batches, nullptr) {
    for (std::size_t i = 0; i < batches; ++i) {
      all_.push_back(std::make_unique<Batch>());
      free_.push_back(all_.back().get());
    }
  }

  // The leader's: an empty batch to read into, and its place in the order.
  Batch& draw() {
    std::unique_lock lock(mutex_);
    batch_free_.wait(lock, [&] { return !free_.empty(); });
    auto* batch = free_.back();
    free_.pop_back();
    batch->ticket = next_ticket_++;
    return *batch;
  }

  // The batch's work is done: `leave` is called for it, and for finished ones behind it, in order
  // and by one thread at a time; now, or by the thread that finishes the one that is due.
  template <typename Leave>
  void finish(Batch& batch, const Leave& leave) {
    std::unique_lock lock(mutex_);
    done_[batch.ticket % done_.size()] = &batch;
    if (leaving_) return;  // that thread looks again before it goes
    leaving_ = true;
    while (auto* due = done_[next_leave_ % done_.size()]) {
      done_[next_leave_ % done_.size()] = nullptr;
      lock.unlock();
      leave(*due);
      lock.lock();
      ++next_leave_;
      free_.push_back(due);
      batch_free_.notify_one();
    }
    leaving_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable batch_free_;
  bool leaving_ = false;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t next_leave_ = 0;
  std::vector<std::unique_ptr<Batch>> all_;
  std::vector<Batch*> free_;
  std::vector<Batch*> done_;  // by ticket: at most all_.size() are under way
};

}  // namespace cw::tunnel::engine
