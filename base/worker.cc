#include "base/worker.h"

#include <pthread.h>

#include <csignal>
#include <utility>

#include "base/thread_role.h"

namespace cw {

Worker::Worker(Loop& loop, std::size_t limit, Pace pace)
    : limit_(limit),
      finished_(loop, limit,
                [this](const Finish& finish) {
                  --in_flight_;
                  if (finish) finish();  // may destroy this Worker
                }),
      questions_(loop, 1, [this](const std::function<void()>* question) {
        (*question)();
        {
          const std::lock_guard lock(mutex_);
          answer_ = true;
        }
        answered_.notify_one();
      }) {
  // Signals belong to the loop thread.
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, pace] {
    name_thread("cw-worker");
    if (pace == Pace::kGivesWay) give_way();
    work();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  news_.notify_one();
  answered_.notify_one();
  thread_.join();
}

bool Worker::ask(const std::function<void()>& question) {
  std::unique_lock lock(mutex_);
  if (stopping_) return false;
  answer_ = false;
  lock.unlock();
  // The loop thread destroys this Worker, so no question runs once `stopping_` is set.
  if (!questions_.sender().push(&question)) return false;
  lock.lock();
  answered_.wait(lock, [this] { return answer_ || stopping_; });
  return answer_;
}

bool Worker::run(Job job) {
  if (in_flight_ >= limit_) return false;
  ++in_flight_;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  news_.notify_one();
  return true;
}

void Worker::work() {
  const auto done = finished_.sender();
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    auto finish = job();
    job = nullptr;                       // destroys what the job holds on this thread
    (void)done.push(std::move(finish));  // never full: the mailbox has room for `limit`
  }
}

Background background_of(Worker& worker) {
  return {[&worker](Worker::Job job) { return worker.run(std::move(job)); },
          [&worker](const std::function<void()>& question) { return worker.ask(question); }};
}

Background no_background() {
  return {[](const Worker::Job& job) {
            if (const auto finish = job()) finish();
            return true;
          },
          [](const std::function<void()>& question) {
            question();
            return true;
          }};
}

}  // namespace cw
