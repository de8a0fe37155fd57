// The fields of the inner IP packet that WireGuard reads: version, length, addresses and ECN.
#pragma once

#include <algorithm>
#include <optional>

#include "base/prefix.h"
#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

struct Inner {
  IpAddress source;
  IpAddress destination;
  std::size_t length = 0;  // by its own header; later bytes are padding
  std::uint8_t tos = 0;    // DSCP and ECN
};

// Nothing unless `packet` begins with an IPv4 or IPv6 header whose length fits into it.
[[nodiscard]] inline std::optional<Inner> parse_inner(Bytes packet) {
  if (packet.size() >= 20 && packet[0] >> 4U == 4) {
    Inner inner;
    inner.length = static_cast<std::size_t>(packet[2]) << 8U | packet[3];
    if (inner.length < 20 || inner.length > packet.size()) return std::nullopt;
    inner.tos = packet[1];
    inner.source = *IpAddress::from_bytes(packet.subspan(12, 4));
    inner.destination = *IpAddress::from_bytes(packet.subspan(16, 4));
    return inner;
  }
  if (packet.size() >= 40 && packet[0] >> 4U == 6) {
    Inner inner;
    inner.length = 40 + (static_cast<std::size_t>(packet[4]) << 8U | packet[5]);
    if (inner.length > packet.size()) return std::nullopt;
    inner.tos = static_cast<std::uint8_t>((packet[0] & 0x0fU) << 4U | packet[1] >> 4U);
    inner.source = *IpAddress::from_bytes(packet.subspan(8, 16));
    inner.destination = *IpAddress::from_bytes(packet.subspan(24, 16));
    return inner;
  }
  return std::nullopt;
}

// RFC 6040 section 4.2, for a datagram that arrived with `outer` ECN bits: copies a congestion mark
// to the inner packet. False: drop the packet, because its transport does not support ECN and could
// not learn of the congestion.
[[nodiscard]] inline bool ecn_decapsulate(std::span<std::uint8_t> packet, std::uint8_t outer) {
  if ((outer & 3U) != 3 || packet.size() < 20) return true;
  const bool v4 = packet[0] >> 4U == 4;
  const auto inner = v4 ? packet[1] & 3U : packet[1] >> 4U & 3U;
  if (inner == 0) return false;
  if (inner == 3) return true;
  if (!v4) {
    packet[1] = static_cast<std::uint8_t>(packet[1] | 0x30U);
    return true;
  }
  // The header checksum's sum grows by as much as the field does (RFC 1624: HC' = ~(~HC + m' - m)).
  packet[1] = static_cast<std::uint8_t>(packet[1] | 3U);
  auto sum = (~(static_cast<unsigned>(packet[10]) << 8U | packet[11]) & 0xffffU) + (3U - inner);
  sum = (sum & 0xffffU) + (sum >> 16U);
  packet[10] = static_cast<std::uint8_t>(~sum >> 8U);
  packet[11] = static_cast<std::uint8_t>(~sum);
  return true;
}

// Plaintext size on the wire: padded to 16 bytes, but not beyond the device's MTU. In a packet
// larger than the MTU only the last, partial unit is padded, as the kernel does for GSO leftovers.
[[nodiscard]] constexpr std::size_t padded_size(std::size_t length, std::size_t mtu) {
  const auto unit = mtu != 0 && length > mtu ? length % mtu : length;
  auto padded = (unit + 15) & ~std::size_t{15};
  if (mtu != 0) padded = std::min(padded, mtu);
  return length - unit + std::max(padded, unit);
}

}  // namespace cw::tunnel::engine
