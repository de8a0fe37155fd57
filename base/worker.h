// A thread for work that may block (files, the nft program, long dumps), so that the loop thread
// does not block. Jobs run one at a time, in the order of run(). A job returns a closure that the
// loop thread runs afterwards. The queue is bounded. docs/adr/0011-loop-never-blocks.md lists what
// runs where.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/mailbox.h"

namespace cw {

class Worker {
 public:
  using Finish = std::function<void()>;
  using Job = std::function<Finish()>;

  // Whether the thread gives way to the loop (thread_role.h). kAsTheLoop is for jobs that packets
  // wait for.
  enum class Pace { kGivesWay, kAsTheLoop };

  // `limit` counts jobs that wait, that run, or whose closure has not run yet.
  Worker(Loop& loop, std::size_t limit, Pace pace = Pace::kGivesWay);
  // Waits for the running job. Drops waiting jobs and closures that have not run.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Loop thread only. False: `limit` is reached, and the job is dropped.
  [[nodiscard]] bool run(Job job);
  // From a job only: runs `question` on the loop thread and waits for it. False: the Worker is
  // being destroyed, and `question` did not run.
  [[nodiscard]] bool ask(const std::function<void()>& question);

 private:
  void work();

  std::size_t limit_;
  std::size_t in_flight_ = 0;  // loop thread only
  Mailbox<Finish> finished_;
  Mailbox<const std::function<void()>*> questions_;
  std::mutex mutex_;
  std::condition_variable news_;      // wakes the thread: there is a job, or it must stop
  std::condition_variable answered_;  // wakes a job that asked
  bool answer_ = false;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

// Access to a Worker as functions. Code that takes a Background needs no thread, so tests pass one
// that runs every job at once.
struct Background {
  std::function<bool(Worker::Job)> run;
  std::function<bool(const std::function<void()>&)> ask;
};
[[nodiscard]] Background background_of(Worker& worker);
[[nodiscard]] Background no_background();  // everything runs on the calling thread

}  // namespace cw
