// Explains why there is no tunnel to a remote gateway that answers no handshake: since when, which
// endpoints were tried, and what to do. Pure: time is an argument.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"

namespace cw::gateway {

// Not reported earlier: endpoints are tried for 5 s each, and the next one may answer.
inline constexpr Duration kNoAnswerIsTold = std::chrono::seconds(20);

struct Attempts {
  std::vector<Endpoint> endpoints;  // tried in turn; empty: the remote gateway must call
  WallTime since{};                 // of the first attempt
  WallTime last_handshake{};        // zero: none yet
};

// A sentence for people. It stays the same while nothing changes. Empty: too early to say.
[[nodiscard]] std::string no_answer(const Attempts& attempts, WallTime now);

}  // namespace cw::gateway
