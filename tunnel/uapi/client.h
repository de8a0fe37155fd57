// One blocking request to the UNIX socket of a WireGuard implementation, bounded in time and size.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::tunnel::uapi {

// Sends `request`, including its final empty line. Returns the reply up to its final empty line.
// kNotFound: there is no such socket, or only that of a dead process. kUnavailable: no answer in
// time.
[[nodiscard]] Result<std::string> exchange(const std::string& socket_path, std::string_view request,
                                           std::chrono::milliseconds timeout);

}  // namespace cw::tunnel::uapi
