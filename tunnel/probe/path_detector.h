// Detects whether a gateway forwards, and packets of what size. It judges one path (a gateway of
// the own cluster, a remote cluster, a family) from full-size probes through it. While all is well,
// probes are rare. Once a reply is late they hurry: small and full ones in turn, to each remote
// gateway in turn. The path is silent after more consecutive misses than random loss explains.
// path_size.h finds the largest packet that passes. Pure: time is an argument.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "tunnel/probe/path_size.h"
#include "tunnel/probe/request_window.h"
#include "tunnel/probe/round_trip.h"

namespace cw::tunnel {

struct PathConfig {
  Duration interval = std::chrono::milliseconds(200);
  Duration hurry = std::chrono::milliseconds(40);
  Duration least_patience =
      std::chrono::milliseconds(80);  // for a reply, at least, however short the RTT
  unsigned lost = 8;
  unsigned recover = 3;  // replies in a row after a fall
  PathSizeConfig size;
};

// The interval at which one of `nodes` nodes probes each of its `paths` paths through a gateway.
// All nodes together send each gateway at most 400 such probes per second.
[[nodiscard]] Duration forwarding_interval(std::size_t nodes, std::size_t paths);

enum class PathVerdict : std::uint8_t {
  kUnknown,  // no reply yet, and too few requests to call the path silent
  kForwards,
  kSilent,
};

class PathDetector {
 public:
  struct Send {
    std::uint64_t sequence = 0;
    std::size_t target = 0;  // index of the remote gateway
    std::size_t size = 0;    // of the IP packet
  };

  PathDetector(const PathConfig& config, TimePoint first)
      : config_(config), next_send_(first), sizes_(config.size) {}
  void set_interval(Duration interval) { config_.interval = interval; }
  // The request to send now, if one is due. `targets`: the number of remote gateways.
  [[nodiscard]] std::optional<Send> due(TimePoint now, std::size_t targets);
  // Records a reply. False for duplicates and unknown numbers, which change nothing.
  bool on_reply(std::uint64_t sequence, TimePoint now);
  // A probe of another path through the same gateway was lost: send the next request now.
  void suspect(TimePoint now) { next_send_ = std::min(next_send_, now); }

  [[nodiscard]] PathVerdict verdict() const { return verdict_; }  // as of the last due()
  [[nodiscard]] bool late() const { return missed_ > 0; }
  // The largest packet that passes. Nothing: the full size passes, as far as is known.
  [[nodiscard]] std::optional<std::size_t> floor() const { return sizes_.floor(); }
  [[nodiscard]] Duration rtt() const { return round_trip_.time(); }

 private:
  struct Sent {
    TimePoint at{};
    std::size_t target = 0;
    std::size_t size = 0;
    bool answered = false;
  };
  [[nodiscard]] Duration patience() const;
  void count_missed(TimePoint now);
  void miss(const Sent& sent, TimePoint now);
  [[nodiscard]] Send make(TimePoint now, std::size_t targets);
  [[nodiscard]] Duration pace() const;

  PathConfig config_;
  TimePoint next_send_;
  RequestWindow<Sent> requests_;
  std::uint64_t counted_ = 0;  // all before it are answered or counted as missed
  PathVerdict verdict_ = PathVerdict::kUnknown;
  unsigned missed_ = 0;    // in a row
  unsigned in_a_row_ = 0;  // replies since the last miss
  bool fell_ = false;
  std::size_t target_ = 0;  // the remote gateway that answered last
  unsigned burst_ = 0;      // requests since replies became late
  RoundTrip round_trip_;
  PathSize sizes_;
};

}  // namespace cw::tunnel
