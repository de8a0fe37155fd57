// The two listening sockets of the status endpoint, on one port. One takes the connections that the
// host makes to itself (the kubelet's probes), the other one all others. Each has its own queue, so
// connections from outside cannot keep the probes out. Any thread.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"

namespace cw {

struct StatusListeners {
  UniqueFd own;  // empty if the kernel cannot separate them; then `others` takes all connections
  UniqueFd others;
  [[nodiscard]] std::uint16_t port() const;
};

// Port 0 means any free port. kUnavailable: another process listens on the port.
[[nodiscard]] Result<StatusListeners> listen_for_status(const Endpoint& at);

}  // namespace cw
