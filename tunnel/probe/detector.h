// Detects whether the other side answers. Similar to BFD (RFC 5880, asynchronous mode): requests go
// at a fixed interval, and faster once replies are late.
//   * Down: no reply for `lost` intervals, and more consecutive misses than the loss before them
//     explains.
//   * Up again: `recover` replies in a row.
//   * Degraded: by loss over a window, with hysteresis.
// RTT and jitter are smoothed (RFC 6298, RFC 3550). It tells facts: a link that flaps is up and
// down as often as it is. Its user decides what that means (homing/hold_down.h). Pure:
// time is an argument.
#pragma once

#include <cstdint>
#include <optional>

#include "tunnel/probe/request_window.h"
#include "tunnel/probe/round_trip.h"

namespace cw::tunnel {

// The interval at which each of `askers` nodes asks a gateway: `configured`, or longer up to
// kSlowest, so that a gateway answers at most kMostAsked requests per second. Three intervals of
// kSlowest are 0.69 s, so a dead gateway is still found soon. It changes in steps of 10 ms, so that
// one more node changes nothing.
inline constexpr unsigned kMostAsked = 4400;
inline constexpr Duration kSlowest = std::chrono::milliseconds(230);
[[nodiscard]] Duration shared_interval(Duration configured, std::size_t askers);

struct DetectorConfig {
  Duration interval = std::chrono::milliseconds(100);
  unsigned lost = 3;
  unsigned recover = 3;
  // An up link is degraded once more than `degraded_loss` of the window was lost, until no more
  // than `fine_loss` is. 5 % random loss each way (9.8 % of requests) is far from the first.
  double degraded_loss = 0.3;
  double fine_loss = 0.12;
  unsigned hurry = 4;  // requests per interval while replies are late
};

enum class LinkState : std::uint8_t { kConnecting, kUp, kDegraded, kDown };
[[nodiscard]] const char* to_string(LinkState state);

class Detector {
 public:
  explicit Detector(const DetectorConfig& config) : config_(config) {}
  // Takes effect with the next request. The history stays.
  void set_interval(Duration interval) { config_.interval = interval; }
  // Records a request that is sent now, and returns its sequence number.
  [[nodiscard]] std::uint64_t next_sequence(TimePoint now);
  // The time until the next request: the interval, or a part of it while replies are late or more
  // than an eighth of the window was lost.
  [[nodiscard]] Duration pace(TimePoint now) const;
  // This process was paused. Round trips of requests that were under way then are not used.
  void on_pause() { sampled_from_ = requests_.next(); }
  // Records a reply to `sequence`. False for duplicates and unknown numbers, which change nothing.
  bool on_reply(std::uint64_t sequence, TimePoint now);
  [[nodiscard]] LinkState state(TimePoint now);
  // True if up or degraded: traffic may use the link.
  [[nodiscard]] bool usable(TimePoint now);
  [[nodiscard]] Duration rtt() const { return round_trip_.time(); }
  [[nodiscard]] Duration jitter() const { return round_trip_.jitter(); }
  [[nodiscard]] double loss(TimePoint now) const;  // 0 to 1, over the window

 private:
  struct Sent {
    TimePoint at{};
    bool answered = false;
  };
  using Requests = RequestWindow<Sent>;
  struct Counted {
    unsigned asked = 0;
    unsigned missing = 0;
  };
  [[nodiscard]] Counted counted(TimePoint now) const;
  // Whether the missing replies mean that the other side is gone, and not bad luck.
  [[nodiscard]] bool silent(TimePoint now) const;
  // The number of consecutive misses that is more than bad luck.
  [[nodiscard]] unsigned convincing() const;

  DetectorConfig config_;
  Requests requests_;
  std::uint64_t oldest_unanswered_ = 0;  // all from here on are unanswered
  std::uint64_t sampled_from_ = 0;       // requests before it were under way during a pause
  std::optional<TimePoint> last_reply_;
  bool up_ = false;
  bool ever_up_ = false;
  bool degraded_ = false;
  unsigned in_a_row_ = 0;  // replies since the last fall or gap
  RoundTrip round_trip_;
};

}  // namespace cw::tunnel
