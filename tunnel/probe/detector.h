// Is the other side there? BFD-like (RFC 5880, asynchronous mode in spirit): requests at a fixed
// interval, `lost` intervals without a reply = down; up again after `recover` replies in a row (the
// flap damper doubles that with each recent fall). Windowed loss, smoothed RTT and jitter (RFC
// 6298, RFC 3550). Pure: time is an argument.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "base/loop.h"

namespace cw::tunnel {

struct DetectorConfig {
  Duration interval = std::chrono::milliseconds(100);
  unsigned lost = 3;
  unsigned recover = 3;
  double degraded_loss = 0.2;  // windowed loss above which an up link counts as degraded
};

enum class LinkState : std::uint8_t { kConnecting, kUp, kDegraded, kDown };
[[nodiscard]] const char* to_string(LinkState state);

class Detector {
 public:
  static constexpr std::size_t kWindow = 64;  // probes

  explicit Detector(const DetectorConfig& config) : config_(config) {}
  // The number to put into the request sent now.
  [[nodiscard]] std::uint64_t next_sequence(TimePoint now);
  // A reply to `sequence`; duplicates and unknown numbers are ignored.
  void on_reply(std::uint64_t sequence, TimePoint now);
  [[nodiscard]] LinkState state(TimePoint now);
  // Up or degraded: traffic may use it.
  [[nodiscard]] bool usable(TimePoint now);
  // When state() can next change by itself (no reply coming); for a timer.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] Duration rtt() const { return rtt_; }
  [[nodiscard]] Duration jitter() const { return jitter_; }
  [[nodiscard]] double loss(TimePoint now) const;  // 0..1 over the window

 private:
  struct Sent {
    TimePoint at{};
    bool answered = false;
  };
  DetectorConfig config_;
  Sent sent_[kWindow] = {};
  std::uint64_t next_ = 0;  // sequences [next_ - kWindow, next_) are in the window
  std::optional<TimePoint> last_reply_;
  std::optional<TimePoint> first_sent_;
  bool up_ = false;
  bool ever_up_ = false;
  unsigned in_a_row_ = 0;
  unsigned falls_ = 0;  // recent; halves for each minute up
  TimePoint last_fall_{};
  Duration rtt_{};
  Duration jitter_{};
};

}  // namespace cw::tunnel
