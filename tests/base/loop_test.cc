// The Loop's contract on the real and on the simulated loop, and classes that are built on it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/backoff.h"
#include "base/event_loop.h"
#include "base/fake/sim_loop.h"
#include "base/mailbox.h"
#include "base/unique_fd.h"

namespace cw {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Runs the real loop until `done` or five seconds.
void run_until(EventLoop& loop, const std::function<bool()>& done) {
  const auto poll = loop.every(milliseconds(1), [&] {
    if (done()) loop.stop();
  });
  const auto limit = loop.after(seconds(5), [&] {
    ADD_FAILURE() << "timed out";
    loop.stop();
  });
  loop.run();
}

TEST(EventLoop, TimersFireInOrderAndHandlesCancel) {
  EventLoop loop;
  std::string order;
  const auto a = loop.after(milliseconds(20), [&] { order += 'a'; });
  const auto b = loop.after(milliseconds(5), [&] { order += 'b'; });
  auto c = loop.after(milliseconds(10), [&] { order += 'c'; });
  c.reset();
  run_until(loop, [&] { return order.size() == 2; });
  EXPECT_EQ(order, "ba");
}

TEST(EventLoop, ACallbackMayDropItsOwnHandle) {
  EventLoop loop;
  int count = 0;
  Handle handle;
  handle = loop.every(milliseconds(1), [&] {
    ++count;
    handle.reset();
  });
  int after = 0;
  const auto later = loop.every(milliseconds(2), [&] { ++after; });
  run_until(loop, [&] { return after > 5; });
  EXPECT_EQ(count, 1);
}

TEST(EventLoop, AStallIsCountedOnce) {
  EventLoop loop;
  int count = 0;
  const auto timer = loop.every(milliseconds(200), [&] {
    if (++count == 1) std::this_thread::sleep_for(milliseconds(500));
  });
  run_until(loop, [&] { return count == 7; });
  EXPECT_GE(loop.stalls().total, milliseconds(500));
  // The timer's own first time after it (300 ms late) counts, too. Its later times are a period
  // apart.
  EXPECT_LT(loop.stalls().total, milliseconds(1500));
}

TEST(EventLoop, WatchesDescriptors) {
  EventLoop loop;
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const UniqueFd in(fds[0]);
  const UniqueFd out(fds[1]);
  char got = 0;
  const auto watch =
      loop.watch(in.get(), FdEvent::kRead, [&] { ASSERT_EQ(read(in.get(), &got, 1), 1); });
  loop.post([&] { ASSERT_EQ(write(out.get(), "x", 1), 1); });
  run_until(loop, [&] { return got != 0; });
  EXPECT_EQ(got, 'x');
}

TEST(Mailbox, TakesFromOtherThreadsInOrderAndRefusesWhenFull) {
  EventLoop loop;
  std::vector<int> got;
  auto box = std::make_unique<Mailbox<int>>(loop, 3, [&](int value) { got.push_back(value); });
  const auto sender = box->sender();
  std::thread thread([&] {
    EXPECT_TRUE(sender.push(1));
    EXPECT_TRUE(sender.push(2));
    EXPECT_TRUE(sender.push(3));
    EXPECT_FALSE(sender.push(4));
  });
  thread.join();
  run_until(loop, [&] { return got.size() == 3; });
  EXPECT_EQ(got, (std::vector<int>{1, 2, 3}));
  box.reset();
  EXPECT_FALSE(sender.push(5));
}

TEST(Mailbox, NothingIsTakenAfterItsOwnerWentAway) {
  SimLoop loop;
  int got = 0;
  auto box = std::make_unique<Mailbox<int>>(loop, 3, [&](int) { ++got; });
  EXPECT_TRUE(box->sender().push(1));
  box.reset();
  loop.run_ready();
  EXPECT_EQ(got, 0);
}

TEST(SimLoop, TimeMovesOnlyByAdvance) {
  SimLoop loop;
  std::vector<Duration> at;
  const auto start = loop.now();
  const auto every = loop.every(milliseconds(100), [&] { at.push_back(loop.now() - start); });
  loop.advance(milliseconds(250));
  EXPECT_EQ(at, (std::vector<Duration>{milliseconds(100), milliseconds(200)}));
  EXPECT_EQ(loop.now() - start, milliseconds(250));
}

TEST(Debounce, ABurstIsOneCallAndTheNextBurstIsAnother) {
  SimLoop loop;
  int calls = 0;
  Debounce debounce(loop, milliseconds(20), [&] { ++calls; });
  debounce.poke();
  loop.advance(milliseconds(10));
  debounce.poke();
  loop.advance(milliseconds(10));
  EXPECT_EQ(calls, 1);
  debounce.poke();
  loop.advance(milliseconds(20));
  EXPECT_EQ(calls, 2);
}

TEST(Backoff, DoublesToItsLimitWithJitterAndStartsOver) {
  SeededRandom random(1);
  Backoff backoff(milliseconds(100), seconds(1));
  std::chrono::milliseconds full(100);
  for (int i = 0; i < 8; ++i) {
    const auto delay = backoff.next(random);
    EXPECT_GE(delay, full / 2);
    EXPECT_LE(delay, full);
    full = std::min<std::chrono::milliseconds>(seconds(1), full * 2);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(random), milliseconds(100));
}

}  // namespace
}  // namespace cw
