// A host for tests: a thread with a network namespace of its own. Needs root.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>

namespace cw {

// Runs functions on its own thread, in its own network namespace.
class TestHost {
 public:
  TestHost() {
    thread_ = std::thread([this] { work(); });
    in([this] {
      EXPECT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
      tid_ = static_cast<int>(syscall(SYS_gettid));
    });
    shell("ip link set lo up");
  }
  ~TestHost() {
    in([this] { ends_ = true; });
    thread_.join();
  }
  TestHost(const TestHost&) = delete;
  TestHost& operator=(const TestHost&) = delete;

  void in(const std::function<void()>& what) {
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      next_ = [&] {
        what();
        done.set_value();
      };
    }
    wake_.notify_one();
    done.get_future().wait();
  }
  void shell(const std::string& command) {
    in([&] {
      EXPECT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(concurrency-mt-unsafe)
    });
  }
  [[nodiscard]] int tid() const { return tid_; }

 private:
  void work() {
    while (!ends_) {
      std::function<void()> what;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return next_ != nullptr; });
        what = std::move(next_);
        next_ = nullptr;
      }
      what();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::function<void()> next_;
  bool ends_ = false;
  int tid_ = 0;
  std::thread thread_;
};

}  // namespace cw
