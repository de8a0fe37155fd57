// Lets several workers share one source without reordering it. One worker at a time, the leader
// (workers.h), reads a batch and draws its ticket. All workers process batches in parallel. Batches
// leave in the order of their tickets. The worker that finishes the batch that is due also lets out
// the finished batches behind it. So no worker is woken only to pass on another worker's batch.
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
  // The number of batches is fixed. When all are in use, the leader waits, and packets wait or are
  // dropped in the source's own queue (the socket's buffer, the TUN's ring).
  explicit Turnstile(std::size_t batches) : done_(batches, nullptr) {
    for (std::size_t i = 0; i < batches; ++i) {
      all_.push_back(std::make_unique<Batch>());
      free_.push_back(all_.back().get());
    }
  }

  // An empty batch to read into, with its place in the order. For the leader only.
  Batch& draw() {
    std::unique_lock lock(mutex_);
    batch_free_.wait(lock, [&] { return !free_.empty(); });
    auto* batch = free_.back();
    free_.pop_back();
    batch->ticket = next_ticket_++;
    return *batch;
  }

  // The work on this batch is done. Calls `leave` for it when its turn comes, and for finished
  // batches behind it. `leave` runs in ticket order, one thread at a time: here, or in the thread
  // that finishes the batch that is due.
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
  std::vector<Batch*> done_;  // by ticket: at most all_.size() are in use
};

}  // namespace cw::tunnel::engine
