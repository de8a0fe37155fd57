// Addresses of sockets as Endpoints. errno says why a call failed.
#pragma once

#include <optional>

#include "base/prefix.h"

namespace cw {

// `scope`: index of the device, for link-local addresses.
[[nodiscard]] bool bind_socket(int fd, const Endpoint& at, std::uint32_t scope = 0);
// The address that the socket is bound to.
[[nodiscard]] std::optional<Endpoint> local_endpoint(int fd);

}  // namespace cw
