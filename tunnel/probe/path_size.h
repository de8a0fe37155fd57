// Finds the largest packet that passes a path. If full probes are lost while small ones pass, the
// size is searched by halving (similar to RFC 8899). The full size is tried again from time to
// time. Pure: time is an argument.
#pragma once

#include <cstdint>
#include <optional>

#include "base/loop.h"
#include "tunnel/mtu.h"

namespace cw::tunnel {

struct PathSizeConfig {
  std::size_t full = kTunnelMtu;  // size of the IP packets
  std::size_t small = 100;
  std::size_t least = 1000;                  // the search goes no lower
  std::size_t exact = 8;                     // the search stops at this precision, in bytes
  Duration raise = std::chrono::minutes(1);  // between attempts at the full size
};

class PathSize {
 public:
  explicit PathSize(const PathSizeConfig& config) : config_(config) {}

  // The size of the next probe. `sequence`: its number. A search sends small ones in between, which
  // show whether the path falls silent meanwhile.
  [[nodiscard]] std::size_t next(std::uint64_t sequence) const;
  // The largest size that is known to pass, or is thought to.
  [[nodiscard]] std::size_t regular() const { return floor_.value_or(config_.full); }
  [[nodiscard]] std::size_t small() const { return config_.small; }
  // Nothing: the full size passes, as far as is known.
  [[nodiscard]] std::optional<std::size_t> floor() const { return floor_; }
  [[nodiscard]] bool searching() const { return search_.has_value(); }
  // Regular probes are lost, and small ones are answered.
  [[nodiscard]] bool suspicious() const { return full_missed_ > 0 && small_answered_ > 0; }

  // Call it before a probe is sent: it begins to try the full size again when that is due.
  void try_full(TimePoint now);
  // A probe of that size was lost. Returns whether that says something about the path: the loss of
  // a size that may be too large does not.
  [[nodiscard]] bool missed(std::size_t size, TimePoint now);
  // A probe of that size was answered. Returns whether a search made a step.
  bool answered(std::size_t size, TimePoint now);
  // The path is silent, so no size passes.
  void stop() { search_.reset(); }

 private:
  static constexpr unsigned kNarrow = 6;  // full ones lost in a row while small ones are answered
  static constexpr unsigned kTries = 3;   // per size of a search
  struct Search {
    std::size_t low = 0;   // passes
    std::size_t high = 0;  // does not
    std::size_t size = 0;  // tried now
    unsigned tries = 0;
    bool raising = false;  // only the full size is tried
  };
  void step(TimePoint now);

  PathSizeConfig config_;
  unsigned full_missed_ = 0;  // since the last answer to a full-size request
  unsigned small_answered_ = 0;
  std::optional<Search> search_;
  std::optional<std::size_t> floor_;
  TimePoint raise_at_{};
};

}  // namespace cw::tunnel
