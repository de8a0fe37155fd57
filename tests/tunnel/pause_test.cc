// A process that was paused does not take its own pause for the loss of others, and finds real
// losses as soon as always. One prober and its target, in simulated time.
#include <gtest/gtest.h>

#include <deque>

#include "base/awake_time.h"
#include "tunnel/probe/detector.h"
#include "tunnel/probe/path_detector.h"

namespace cw::tunnel {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStep = microseconds(2500);
constexpr Duration kTick = microseconds(12'500);
constexpr Duration kInterval = milliseconds(100);

// Uses a Detector as UdpProber does. After a pause the timer comes first, which is the worse order:
// the replies still wait in the socket.
class Side {
 public:
  Side(Duration rtt, unsigned hurry) : rtt_(rtt) {
    config_.interval = kInterval;
    config_.hurry = hurry;
  }

  void run(Duration span) {
    for (const auto end = now_ + span; now_ < end; now_ += kStep) {
      if (now_ >= next_tick_) tick();
      if (!wire_.empty() && wire_.front().first <= now_) {
        (void)look();
        read();
      }
    }
  }
  // Replies go on arriving; no call reads them.
  void pause(Duration span) { now_ += span; }
  void kill_target() { dead_since_ = now_; }
  void kill_target(Duration ahead) { dead_since_ = now_ + ahead; }
  [[nodiscard]] bool down() { return !detector_.usable(awake_.at(now_)); }
  [[nodiscard]] unsigned falls() const { return falls_; }
  [[nodiscard]] Duration rtt() const { return detector_.rtt(); }
  // The time from now until the target is down; 5 s: it does not go down.
  Duration until_down() {
    const auto start = now_;
    while (!down() && now_ - start < seconds(5)) run(kStep);
    return now_ - start;
  }

 private:
  bool look() {
    if (!awake_.look(now_)) return false;
    detector_.on_pause();
    return true;
  }
  void tick() {
    if (look()) read();
    const auto now = awake_.at(now_);
    if (now >= next_send_) {
      const auto sequence = detector_.next_sequence(now);
      if (!dead_since_ || now_ < *dead_since_) wire_.emplace_back(now_ + rtt_, sequence);
      next_send_ = now + detector_.pace(now);
    }
    const bool usable = detector_.usable(now);
    if (was_usable_ && !usable) ++falls_;
    was_usable_ = usable;
    next_tick_ = now_ + kTick;
  }
  void read() {
    while (!wire_.empty() && wire_.front().first <= now_) {
      detector_.on_reply(wire_.front().second, awake_.at(now_));
      wire_.pop_front();
    }
  }

  Duration rtt_;
  DetectorConfig config_;
  Detector detector_{config_};
  AwakeTime awake_{kTick, kInterval};
  TimePoint now_{seconds(100)};
  TimePoint next_tick_{now_};
  TimePoint next_send_{now_};
  std::optional<TimePoint> dead_since_;
  std::deque<std::pair<TimePoint, std::uint64_t>> wire_;
  bool was_usable_ = false;
  unsigned falls_ = 0;
};

const std::vector<Duration> kRoundTrips{milliseconds(1), milliseconds(50), milliseconds(150),
                                        milliseconds(250), milliseconds(400)};
const std::vector<Duration> kPauses{milliseconds(30),  milliseconds(90),   milliseconds(110),
                                    milliseconds(290), milliseconds(310),  milliseconds(700),
                                    seconds(2),        milliseconds(8333), seconds(3600)};

TEST(Pause, OfOurOwnIsNoFallOfOthers) {
  for (const auto rtt : kRoundTrips) {
    for (const unsigned hurry : {4U, 8U}) {
      for (const auto pause : kPauses) {
        for (Duration phase{}; phase < kInterval; phase += kStep) {
          Side side(rtt, hurry);
          side.run(seconds(3) + phase);
          ASSERT_FALSE(side.down());
          side.pause(pause);
          side.run(seconds(2));
          EXPECT_EQ(side.falls(), 0U) << "rtt " << rtt.count() << " hurry " << hurry << " pause "
                                      << pause.count() << " phase " << phase.count();
        }
      }
    }
  }
}

TEST(Pause, AgainAndAgainIsNoFallOfOthersEither) {
  for (const auto rtt : kRoundTrips) {
    for (const auto awake : {milliseconds(5), milliseconds(20), milliseconds(130)}) {
      for (const auto pause : {milliseconds(90), milliseconds(150), milliseconds(700)}) {
        Side side(rtt, 8);
        side.run(seconds(3));
        for (int i = 0; i < 200; ++i) {
          side.pause(pause);
          side.run(awake);
        }
        EXPECT_EQ(side.falls(), 0U) << rtt.count() << " " << awake.count() << " " << pause.count();
      }
    }
  }
}

// A target that dies before, in or after a pause is found as fast as without one.
TEST(Pause, HidesNoRealFall) {
  for (const auto rtt : kRoundTrips) {
    for (const auto pause : kPauses) {
      for (Duration phase{}; phase < kInterval; phase += 2 * kStep) {
        Side usual(rtt, 8);
        usual.run(seconds(3) + phase);
        usual.kill_target();
        const auto found = usual.until_down();

        Side before(rtt, 8);
        before.run(seconds(3) + phase);
        before.kill_target();
        before.pause(pause);
        EXPECT_LE(before.until_down(), found + kInterval) << rtt.count() << " " << pause.count();

        Side within(rtt, 8);
        within.run(seconds(3) + phase);
        within.kill_target(pause / 2);
        within.pause(pause);
        EXPECT_LE(within.until_down(), found + kInterval) << rtt.count() << " " << pause.count();
      }
    }
  }
}

TEST(Pause, IsNoRoundTrip) {
  Side side(milliseconds(50), 4);
  side.run(seconds(3));
  side.pause(seconds(60));
  side.run(milliseconds(200));
  EXPECT_LE(side.rtt(), milliseconds(80));
}

// The same for paths through gateways: requests that were under way when the pause began are not
// misses.
TEST(Pause, IsNoSilenceOfAPath) {
  constexpr Duration kPathTick = milliseconds(20);
  for (const auto rtt : {milliseconds(1), milliseconds(60), milliseconds(300)}) {
    for (const auto pause : kPauses) {
      AwakeTime awake(kPathTick, 5 * kPathTick);
      TimePoint now{seconds(100)};
      PathDetector path(PathConfig{}, now);
      std::deque<std::pair<TimePoint, std::uint64_t>> wire;
      const auto read = [&] {
        for (; !wire.empty() && wire.front().first <= now; wire.pop_front()) {
          path.on_reply(wire.front().second, awake.at(now));
        }
      };
      for (int tick = 0; tick < 500; ++tick) {
        if (tick > 100 && tick % 7 == 0) now += pause;
        if (awake.look(now)) read();
        if (const auto send = path.due(awake.at(now), 2)) {
          wire.emplace_back(now + rtt, send->sequence);
        }
        read();
        if (tick > 50) {
          EXPECT_EQ(path.verdict(), PathVerdict::kForwards) << rtt.count() << " " << pause.count();
        }
        now += kPathTick;
      }
    }
  }
}

}  // namespace
}  // namespace cw::tunnel
