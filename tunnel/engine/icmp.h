// What a sender behind the tunnel is told when no peer takes its packet: destination unreachable
// (RFC 792 type 3 code 1; RFC 4443 type 1 code 3), as the kernel's WireGuard does. Pure.
#pragma once

#include <vector>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

// Nothing for packets that must not be answered: malformed, fragments beyond the first, ICMP errors
// themselves, multicast or unspecified sources.
[[nodiscard]] std::vector<std::uint8_t> unreachable_for(Bytes packet);

}  // namespace cw::tunnel::engine
