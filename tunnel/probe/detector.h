// Is the other side there? BFD-like (RFC 5880, asynchronous mode in spirit): requests at a fixed
// interval, faster once replies are late. Down: no reply for `lost` intervals and so many requests
// in a row unanswered that the loss just before them does not explain it. Up again after `recover`
// replies in a row, doubled with each recent fall, so a flapping link stays down longer. Degraded,
// by windowed loss, with hysteresis. Smoothed RTT and jitter (RFC 6298, RFC 3550). Pure: time is an
// argument.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/loop.h"

namespace cw::tunnel {

// How often each of `askers` nodes asks a gateway: as configured, or so seldom that it answers
// kMostAsked requests a second; never slower than kSlowest, which finds a dead gateway in 0.7 s.
// In steps of 10 ms, so that one node more or less changes nothing.
inline constexpr unsigned kMostAsked = 4400;
inline constexpr Duration kSlowest = std::chrono::milliseconds(230);
[[nodiscard]] Duration shared_interval(Duration configured, std::size_t askers);

struct DetectorConfig {
  Duration interval = std::chrono::milliseconds(100);
  unsigned lost = 3;
  unsigned recover = 3;
  // Parts of the window: an up link is degraded once more than `degraded_loss` of it was lost,
  // until no more than `fine_loss` is. 5 % random loss each way (9.8 % of requests) is far from the
  // first.
  double degraded_loss = 0.3;
  double fine_loss = 0.12;
  unsigned hurry = 4;  // requests in each interval while replies are late
};

enum class LinkState : std::uint8_t { kConnecting, kUp, kDegraded, kDown };
[[nodiscard]] const char* to_string(LinkState state);

class Detector {
 public:
  static constexpr std::size_t kWindow = 64;  // requests

  explicit Detector(const DetectorConfig& config) : config_(config) {}
  // From the next request on; what was seen stays.
  void set_interval(Duration interval) { config_.interval = interval; }
  // The number to put into the request sent now.
  [[nodiscard]] std::uint64_t next_sequence(TimePoint now);
  // How long to wait before the next request: the interval, or a part of it while replies are late
  // or an eighth of the window was lost.
  [[nodiscard]] Duration pace(TimePoint now) const;
  // This process was paused just now: requests that are under way tell no round trip.
  void on_pause() { sampled_from_ = next_; }
  // A reply to `sequence`; false for duplicates and unknown numbers, which change nothing.
  bool on_reply(std::uint64_t sequence, TimePoint now);
  [[nodiscard]] LinkState state(TimePoint now);
  // Up or degraded: traffic may use it.
  [[nodiscard]] bool usable(TimePoint now);
  // Replies come, though perhaps not yet enough of them after recent falls to be usable: better
  // than nothing where there is nothing better.
  [[nodiscard]] bool answering(TimePoint now);
  [[nodiscard]] Duration rtt() const { return rtt_; }
  [[nodiscard]] Duration jitter() const { return jitter_; }
  [[nodiscard]] double loss(TimePoint now) const;  // 0..1 over the window

 private:
  struct Sent {
    TimePoint at{};
    bool answered = false;
  };
  struct Counted {
    unsigned asked = 0;
    unsigned missing = 0;
  };
  [[nodiscard]] Counted counted(TimePoint now) const;
  // No reply for so long that it is no bad luck.
  [[nodiscard]] bool silent(TimePoint now) const;
  // How many unanswered requests in a row are more than bad luck.
  [[nodiscard]] unsigned convincing() const;
  [[nodiscard]] unsigned replies_needed() const;

  DetectorConfig config_;
  std::array<Sent, kWindow> sent_{};
  std::uint64_t next_ = 0;               // requests [next_ - kWindow, next_) are in the window
  std::uint64_t oldest_unanswered_ = 0;  // all from here to next_ are unanswered
  std::uint64_t sampled_from_ = 0;       // requests before it were under way in a pause
  std::optional<TimePoint> last_reply_;
  bool up_ = false;
  bool ever_up_ = false;
  bool degraded_ = false;
  unsigned in_a_row_ = 0;  // replies since the last fall or gap
  unsigned falls_ = 0;     // recent; halves for each minute up
  TimePoint calm_since_{};
  Duration rtt_{};
  Duration jitter_{};
};

}  // namespace cw::tunnel
