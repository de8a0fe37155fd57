// Detects whether a gateway forwards, and packets of what size. It judges one path (a gateway of
// the own cluster, a remote cluster, a family) from full-size probes through it. While all is well,
// probes are rare. Once a reply is late they hurry: small and full ones in turn, to each remote
// gateway in turn.
//   * Silent: more consecutive misses than random loss explains.
//   * Floor: if full probes are lost while small ones pass, the largest size that passes is
//   searched
//     by halving (similar to RFC 8899). The full size is tried again from time to time.
// Pure: time is an argument.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/loop.h"
#include "tunnel/mtu.h"

namespace cw::tunnel {

struct PathConfig {
  Duration interval = std::chrono::milliseconds(200);
  Duration hurry = std::chrono::milliseconds(40);
  Duration least_patience =
      std::chrono::milliseconds(80);  // for a reply, at least, however short the RTT
  unsigned lost = 8;
  unsigned recover = 3;           // replies in a row after a fall
  std::size_t full = kTunnelMtu;  // size of the IP packets
  std::size_t small = 100;
  std::size_t least = 1000;                  // the search goes no lower
  std::size_t exact = 8;                     // the search stops at this precision, in bytes
  Duration raise = std::chrono::minutes(1);  // between attempts at the full size
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

  PathDetector(const PathConfig& config, TimePoint first) : config_(config), next_send_(first) {}
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
  [[nodiscard]] std::optional<std::size_t> floor() const { return floor_; }
  [[nodiscard]] Duration rtt() const { return rtt_; }

 private:
  static constexpr std::size_t kWindow = 64;
  static constexpr unsigned kNarrow = 6;  // full ones lost in a row while small ones are answered
  static constexpr unsigned kTries = 3;   // per size of a search
  struct Sent {
    TimePoint at{};
    std::size_t target = 0;
    std::size_t size = 0;
    bool answered = false;
  };
  struct Search {
    std::size_t low = 0;   // passes
    std::size_t high = 0;  // does not
    std::size_t size = 0;  // tried now
    unsigned tries = 0;
    bool raising = false;  // only the full size is tried
  };
  [[nodiscard]] Duration patience() const;
  [[nodiscard]] std::size_t regular() const { return floor_.value_or(config_.full); }
  [[nodiscard]] bool suspicious() const { return full_missed_ > 0 && small_answered_ > 0; }
  void count_missed(TimePoint now);
  void miss(const Sent& sent, TimePoint now);
  void weigh_size(const Sent& sent, TimePoint now);
  void step(TimePoint now);
  [[nodiscard]] Send make(TimePoint now, std::size_t targets);
  [[nodiscard]] Duration pace() const;

  PathConfig config_;
  TimePoint next_send_;
  std::array<Sent, kWindow> sent_{};
  std::uint64_t next_ = 0;
  std::uint64_t counted_ = 0;  // all before it are answered or counted as missed
  PathVerdict verdict_ = PathVerdict::kUnknown;
  unsigned missed_ = 0;    // in a row
  unsigned in_a_row_ = 0;  // replies since the last miss
  bool fell_ = false;
  std::size_t target_ = 0;  // the remote gateway that answered last
  unsigned burst_ = 0;      // requests since replies became late
  Duration rtt_{};
  Duration jitter_{};
  unsigned full_missed_ = 0;  // since the last answer to a full-size request
  unsigned small_answered_ = 0;
  std::optional<Search> search_;
  std::optional<std::size_t> floor_;
  TimePoint raise_at_{};
};

}  // namespace cw::tunnel
