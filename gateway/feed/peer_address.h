// The caller's address out of gRPC's name for a peer: "ipv6:%5Bfd00::1%5D:4798" or
// "ipv4:192.0.2.1:80". kInvalid: another kind of peer. Pure.
#pragma once

#include <string_view>

#include "base/prefix.h"

namespace cw::gateway {

[[nodiscard]] Result<IpAddress> peer_address(std::string_view peer);

}  // namespace cw::gateway
