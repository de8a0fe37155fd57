#include "tunnel/engine/icmp.h"

#include <algorithm>

#include "tunnel/engine/inner.h"
#include "tunnel/engine/vnet.h"

namespace cw::tunnel::engine {

namespace {

void put16(std::vector<std::uint8_t>& out, std::size_t at, std::size_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8U);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

std::vector<std::uint8_t> answer_v4(Bytes packet, const Inner& inner) {
  const auto header = static_cast<std::size_t>(packet[0] & 0x0fU) * 4;
  const bool later_fragment = ((packet[6] & 0x1fU) | packet[7]) != 0;
  if (header < 20 || header > inner.length || later_fragment) return {};
  // No answer to an ICMP message other than an echo request or reply.
  if (packet[9] == 1 && (inner.length <= header || (packet[header] != 8 && packet[header] != 0))) {
    return {};
  }
  // The quote is the header and the first 8 bytes after it (RFC 792).
  const auto quoted = std::min(inner.length, header + 8);
  std::vector<std::uint8_t> out(28 + quoted);
  out[0] = 0x45;
  out[1] = 0xc0;
  put16(out, 2, out.size());
  out[8] = 64;
  out[9] = 1;
  std::copy_n(packet.begin() + 16, 4, out.begin() + 12);  // from the packet's destination
  std::copy_n(packet.begin() + 12, 4, out.begin() + 16);
  out[20] = 3;
  out[21] = 1;
  std::copy_n(packet.begin(), quoted, out.begin() + 28);
  put16(out, 10, static_cast<std::uint16_t>(~checksum_sum(Bytes(out).first(20))));
  put16(out, 22, static_cast<std::uint16_t>(~checksum_sum(Bytes(out).subspan(20))));
  return out;
}

std::vector<std::uint8_t> answer_v6(Bytes packet, const Inner& inner) {
  if (packet[6] == 58 && (inner.length <= 40 || packet[40] < 128)) return {};  // an ICMPv6 error
  if (packet[6] == 44) return {};                                              // fragments
  // The whole error must fit into the minimum IPv6 MTU (RFC 4443 section 2.4).
  const auto quoted = std::min<std::size_t>(inner.length, 1280 - 48);
  std::vector<std::uint8_t> out(48 + quoted);
  out[0] = 0x60;
  put16(out, 4, 8 + quoted);
  out[6] = 58;
  out[7] = 64;
  std::copy_n(packet.begin() + 24, 16, out.begin() + 8);
  std::copy_n(packet.begin() + 8, 16, out.begin() + 24);
  out[40] = 1;
  out[41] = 3;
  std::copy_n(packet.begin(), quoted, out.begin() + 48);
  const auto pseudo =
      checksum_sum(Bytes(out).subspan(8, 32), 58U + static_cast<std::uint32_t>(8 + quoted));
  put16(out, 42, static_cast<std::uint16_t>(~checksum_sum(Bytes(out).subspan(40), pseudo)));
  return out;
}

}  // namespace

std::vector<std::uint8_t> unreachable_for(Bytes packet) {
  const auto inner = parse_inner(packet);
  if (!inner || inner->source.is_multicast() || inner->source.is_unspecified() ||
      inner->destination.is_multicast()) {
    return {};
  }
  return inner->source.is_v4() ? answer_v4(packet, *inner) : answer_v6(packet, *inner);
}

}  // namespace cw::tunnel::engine
