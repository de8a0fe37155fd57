// One request to a WireGuard implementation's UNIX socket, blocking, bounded in time and size.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::tunnel::uapi {

// Sends `request` (with its final empty line) and returns the reply up to its own. kNotFound: no
// such socket; kUnavailable: nobody listens (a leftover of a dead process) or no answer in time.
[[nodiscard]] Result<std::string> exchange(const std::string& socket_path, std::string_view request,
                                           std::chrono::milliseconds timeout);

}  // namespace cw::tunnel::uapi
