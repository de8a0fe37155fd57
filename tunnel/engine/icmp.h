// The ICMP answer to a packet that no peer takes: destination unreachable (RFC 792 type 3 code 1;
// RFC 4443 type 1 code 3), as the kernel's WireGuard sends it. Pure.
#pragma once

#include <vector>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

// Empty for packets that must not be answered: malformed packets, later fragments, ICMP errors,
// multicast or unspecified sources.
[[nodiscard]] std::vector<std::uint8_t> unreachable_for(Bytes packet);

}  // namespace cw::tunnel::engine
