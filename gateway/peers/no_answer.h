// Why there is no tunnel to a remote gateway: it answers no handshake. Since when, where it was
// tried, and what to do. Pure: time is an argument.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"

namespace cw::gateway {

// Before that the next endpoint may answer.
inline constexpr Duration kNoAnswerIsTold = std::chrono::seconds(20);

struct Attempts {
  std::vector<Endpoint> endpoints;  // that are tried in turn; empty: the remote gateway must call
  WallTime since{};                 // of the first attempt
  WallTime last_handshake{};        // zero: there was none
};

// A sentence for people, the same as long as nothing changes. Empty: it is too early to say.
[[nodiscard]] std::string no_answer(const Attempts& attempts, WallTime now);

}  // namespace cw::gateway
