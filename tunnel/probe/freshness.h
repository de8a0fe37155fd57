// Decides whether a request is the newest of its asker or a replay. Only claims of fresh requests
// are taken. The tag is not enough: a recorded request has a valid tag, too.
//
// Within a session the sequence decides. Another session becomes the current one by repeating a
// challenge. Only a party that reads the replies and has the key can do that:
//
//   asker                                   replier
//   request, new session          ->        not fresh: no claim is taken
//                                 <-        reply, challenge c
//   request, challenge c          ->        this session is the current one: fresh
//   request                       ->        fresh if its sequence is the highest so far
//
// The challenge is computed from our secret, the asker, its session and the number of earlier
// sessions. So a replay of an old session changes nothing, and a used challenge is never valid
// again. A restart of either side costs one round trip. Pure.
#pragma once

#include <array>
#include <cstdint>

#include "tunnel/probe/packet.h"

namespace cw::tunnel {

// Random, one per process.
using FreshnessSecret = std::array<std::uint8_t, 32>;

class Freshness {
 public:
  // `sessions`: higher than every earlier sessions() of the asker under the same secret.
  explicit Freshness(std::uint64_t sessions = 0) : sessions_(sessions) {}
  struct Verdict {
    bool fresh = false;
    std::uint64_t challenge = 0;  // for the reply; 0: the asker needs none
  };
  // Judges the authentic requests of one asker, in the order of arrival.
  [[nodiscard]] Verdict take(const FreshnessSecret& secret, const Probe& request);
  // The number of sessions before the next one; its challenge follows from it.
  [[nodiscard]] std::uint64_t sessions() const { return sessions_; }

 private:
  bool known_ = false;
  std::uint64_t session_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t sessions_;  // sessions that were current so far, plus the constructor's number
};

}  // namespace cw::tunnel
