// Is a request the newest word of its asker, or a replay of an earlier one? Claims of fresh
// requests only are taken. A tag alone does not tell: a request of yesterday has a good one.
//
// Within a session the sequence tells. A session that is not the current one becomes it by
// repeating a challenge, which only a party that reads the replies and has the key can do now:
//
//   asker                                   replier
//   request, new session          ->        not fresh: nothing is taken
//                                 <-        reply, challenge c
//   request, challenge c          ->        this session is the current one: fresh
//   request                       ->        fresh if its sequence is the highest so far
//
// The challenge follows from (our secret, the asker, its session, how many sessions came before).
// So replays of old sessions change nothing, and the challenge of each is over once it was used.
// A restart of either side costs one round trip. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "tunnel/probe/packet.h"

namespace cw::tunnel {

// Random, of this process.
using FreshnessSecret = std::array<std::uint8_t, 32>;

class Freshness {
 public:
  // `sessions`: above every sessions() of the asker under the same secret.
  explicit Freshness(std::uint64_t sessions = 0) : sessions_(sessions) {}
  struct Verdict {
    bool fresh = false;
    std::uint64_t challenge = 0;  // for the reply; 0: none is needed
  };
  // For each authentic request of one asker, in the order of arrival.
  [[nodiscard]] Verdict take(const FreshnessSecret& secret, const Probe& request);
  // The number that the next session's challenge follows from.
  [[nodiscard]] std::uint64_t sessions() const { return sessions_; }

 private:
  bool known_ = false;
  std::uint64_t session_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t sessions_;  // that were current so far, and those before it was made
};

}  // namespace cw::tunnel
