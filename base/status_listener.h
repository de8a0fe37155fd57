// The listening sockets of the status endpoint: one for connections that the host makes to itself
// (the kubelet's probes), one for all others, on the same port. Each has a queue of its own, so
// strangers who fill theirs keep no probe out. Any thread.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"

namespace cw {

struct StatusListeners {
  UniqueFd own;  // none where the kernel cannot tell connections apart: `others` has all then
  UniqueFd others;
  [[nodiscard]] std::uint16_t port() const;
};

// Port 0 is any free one. A port that another process listens on is kUnavailable and says so.
[[nodiscard]] Result<StatusListeners> listen_for_status(const Endpoint& at);

}  // namespace cw
