// One request to a WireGuard implementation's UNIX socket, blocking, bounded in time and size.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::tunnel::uapi {

// Sends `request` (with its final empty line) and returns the reply up to its own. kNotFound: no
// such socket, or one that a dead process left; kUnavailable: no answer in time.
[[nodiscard]] Result<std::string> exchange(const std::string& socket_path, std::string_view request,
                                           std::chrono::milliseconds timeout);

}  // namespace cw::tunnel::uapi
