// Work on a thread beside the loop.
#include "base/worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>

#include "base/event_loop.h"

namespace cw {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void run_until(EventLoop& loop, const std::function<bool()>& done) {
  const auto poll = loop.every(milliseconds(1), [&] {
    if (done()) loop.stop();
  });
  const auto limit = loop.after(seconds(5), [&] { loop.stop(); });
  loop.run();
  ASSERT_TRUE(done());
}

TEST(Worker, JobsRunInOrderElsewhereAndFinishOnTheLoop) {
  EventLoop loop;
  Worker worker(loop, 100);
  std::vector<int> finished;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(worker.run([&, i] {
      EXPECT_FALSE(loop.in_loop_thread());
      return [&, i] {
        EXPECT_TRUE(loop.in_loop_thread());
        finished.push_back(i);
      };
    }));
  }
  run_until(loop, [&] { return finished.size() == 50; });
  EXPECT_TRUE(std::is_sorted(finished.begin(), finished.end()));
}

TEST(Worker, AJobThatBlocksDelaysNoTimerAndFillsABoundedQueue) {
  EventLoop loop;
  Worker worker(loop, 3);
  std::promise<void> gate;
  bool finished = false;
  ASSERT_TRUE(worker.run([&] {
    gate.get_future().wait();
    return [&] { finished = true; };
  }));
  ASSERT_TRUE(worker.run([] { return Worker::Finish(); }));
  ASSERT_TRUE(worker.run([] { return Worker::Finish(); }));
  EXPECT_FALSE(worker.run([] { return Worker::Finish(); })) << "full";
  int ticks = 0;
  const auto timer = loop.every(milliseconds(1), [&] { ++ticks; });
  run_until(loop, [&] { return ticks >= 20; });
  EXPECT_FALSE(finished);
  gate.set_value();
  run_until(loop, [&] { return finished; });
  run_until(loop, [&] { return worker.run([] { return Worker::Finish(); }); });
}

TEST(Worker, AnEndWaitsForTheJobThatRunsAndDropsTheOthers) {
  EventLoop loop;
  std::atomic<int> ran = 0;
  bool finished = false;
  std::promise<void> began;
  {
    Worker worker(loop, 10);
    ASSERT_TRUE(worker.run([&] {
      began.set_value();
      ++ran;
      return [&] { finished = true; };
    }));
    began.get_future().wait();
  }
  EXPECT_EQ(ran, 1);
  int turns = 0;
  const auto timer = loop.every(milliseconds(1), [&] { ++turns; });
  run_until(loop, [&] { return turns > 3; });
  EXPECT_FALSE(finished);
}

TEST(Worker, ItsOwnerMayGoInAFinish) {
  EventLoop loop;
  auto worker = std::make_unique<Worker>(loop, 10);
  ASSERT_TRUE(worker->run([&] { return [&] { worker.reset(); }; }));
  run_until(loop, [&] { return worker == nullptr; });
}

TEST(Worker, AJobMayAskTheLoop) {
  EventLoop loop;
  Worker worker(loop, 10);
  int answer = 0;
  bool done = false;
  ASSERT_TRUE(worker.run([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(worker.ask([&] {
        EXPECT_TRUE(loop.in_loop_thread());
        ++answer;
      }));
    }
    return [&] { done = true; };
  }));
  run_until(loop, [&] { return done; });
  EXPECT_EQ(answer, 100);
}

TEST(Worker, AnEndAnswersAJobThatAsks) {
  EventLoop loop;
  std::promise<void> began;
  bool ran = false;
  bool answer = true;
  {
    Worker worker(loop, 10);
    ASSERT_TRUE(worker.run([&] {
      began.set_value();
      answer = worker.ask([&] { ran = true; });  // the loop no longer turns
      return Worker::Finish();
    }));
    began.get_future().wait();
  }
  EXPECT_FALSE(answer);
  EXPECT_FALSE(ran);
}

TEST(EventLoopStalls, ATurnThatTakesLongIsSeen) {
  EventLoop loop;
  const auto slow = loop.after(milliseconds(5), [] { ::usleep(60'000); });
  bool done = false;
  const auto late = loop.after(milliseconds(10), [&] { done = true; });
  run_until(loop, [&] { return done; });
  EXPECT_GE(loop.stalls().longest, milliseconds(55));
  EXPECT_GE(loop.stalls().total, milliseconds(55));
  EXPECT_LT(loop.stalls().longest, seconds(3));
}

}  // namespace
}  // namespace cw
