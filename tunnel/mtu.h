// The MTU of the tunnel device.
#pragma once

#include <cstdint>

namespace cw::tunnel {

// Over a path of 1500 bytes with IPv6 outside: WireGuard takes 80.
inline constexpr std::uint32_t kTunnelMtu = 1420;

}  // namespace cw::tunnel
