// A thread for work that may block (files, the nft program, long dumps), so that the loop thread
// does not. Jobs run one after another in the order of run(). A job returns a closure that the loop
// thread runs afterwards. The queue is bounded.
// docs/adr/0011-loop-never-blocks.md says what runs where.
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

  // Whether the thread gives way to the loop (thread_role.h). Only jobs that packets wait for do
  // not.
  enum class Pace { kGivesWay, kAsTheLoop };

  // `limit`: jobs that wait, run or have not been finished on the loop yet.
  Worker(Loop& loop, std::size_t limit, Pace pace = Pace::kGivesWay);
  // Waits for the job that runs. Drops the jobs that wait and the closures that have not run.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Loop thread only. False: `limit` is reached, and the job is dropped.
  [[nodiscard]] bool run(Job job);
  // From a job only: runs `question` on the loop thread and waits for it. False: the Worker ends,
  // and `question` did not run.
  [[nodiscard]] bool ask(const std::function<void()>& question);

 private:
  void work();

  std::size_t limit_;
  std::size_t in_flight_ = 0;  // loop thread only
  Mailbox<Finish> finished_;
  Mailbox<const std::function<void()>*> questions_;
  std::mutex mutex_;
  std::condition_variable news_;      // for the thread: a job, the end
  std::condition_variable answered_;  // for a job that asked
  bool answer_ = false;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

// What may block, done elsewhere. Whoever takes one need not know of threads, and tests pass one
// that does everything at once.
struct Background {
  std::function<bool(Worker::Job)> run;
  std::function<bool(const std::function<void()>&)> ask;
};
[[nodiscard]] Background background_of(Worker& worker);
[[nodiscard]] Background no_background();  // all on the calling thread

}  // namespace cw
