// The UDP sockets of probers and echo servers.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"

namespace cw::tunnel {

struct UdpSocket {
  UniqueFd fd;
  std::uint32_t device = 0;  // index of the device that it is bound to; 0: none
};

// Opens a socket that does not block, bound to `local` and, if it is not empty, to `device`. `what`
// names the socket in errors. kUnavailable if there is no such device.
[[nodiscard]] Result<UdpSocket> open_udp_socket(const Endpoint& local, const std::string& device,
                                                std::string_view what);

}  // namespace cw::tunnel
