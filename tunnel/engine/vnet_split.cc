#include <algorithm>
#include <cstring>

#include "tunnel/engine/vnet.h"

namespace cw::tunnel::engine {

namespace {

std::uint64_t add_with_carry(std::uint64_t sum, std::uint64_t value) {
  sum += value;
  return sum + (sum < value ? 1 : 0);
}

// Adds 32-bit words in 64-bit lanes, which cannot overflow below 16 GiB. `left`: the bytes that
// remain.
#if defined(__x86_64__)
using Lanes = std::uint64_t __attribute__((vector_size(64)));  // one register, or two of AVX2

// Inlined into one function per kind of CPU.
__attribute__((always_inline)) inline std::uint64_t sum_lanes(const std::uint8_t*& at,
                                                              std::size_t& left) {
  Lanes even{};
  Lanes odd{};
  for (; left >= sizeof(Lanes); at += sizeof(Lanes), left -= sizeof(Lanes)) {
    Lanes words;
    std::memcpy(&words, at, sizeof words);
    even += words & 0xffffffff;
    odd += words >> 32;
  }
  even += odd;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 8; ++i) sum += even[i];
  return sum;
}
__attribute__((target("avx512f"))) std::uint64_t sum_blocks_avx512(const std::uint8_t*& at,
                                                                   std::size_t& left) {
  return sum_lanes(at, left);
}
__attribute__((target("avx2"))) std::uint64_t sum_blocks_avx2(const std::uint8_t*& at,
                                                              std::size_t& left) {
  return sum_lanes(at, left);
}
#endif
std::uint64_t sum_blocks_plain(const std::uint8_t*& at, std::size_t& left) {
  std::uint64_t sum = 0;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, 8);
    sum = add_with_carry(sum, value);
  }
  return sum;
}

using SumBlocks = std::uint64_t (*)(const std::uint8_t*&, std::size_t&);
SumBlocks best_sum_blocks() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return sum_blocks_avx512;
  if (__builtin_cpu_supports("avx2")) return sum_blocks_avx2;
#endif
  return sum_blocks_plain;
}

}  // namespace

std::uint16_t checksum_sum(Bytes bytes, std::uint32_t initial) {
  // Adds words in memory order with end-around carry, which is right for any byte order. The sum of
  // larger words folds down to the sum of 16-bit words.
  static const SumBlocks kSumBlocks = best_sum_blocks();
  const auto* at = bytes.data();
  auto left = bytes.size();
  std::uint64_t sum = left >= 64 ? kSumBlocks(at, left) : 0;
  sum = add_with_carry(sum, sum_blocks_plain(at, left));
  std::uint64_t rest = 0;
  if (left != 0) std::memcpy(&rest, at, left);
  sum = add_with_carry(sum, rest);
  sum = (sum & 0xffffffff) + (sum >> 32U);
  sum = (sum & 0xffffffff) + (sum >> 32U);
  auto folded = static_cast<std::uint32_t>((sum & 0xffff) + (sum >> 16U));
  folded = (folded & 0xffffU) + (folded >> 16U);
  // Converts to network order, as a number.
  folded = (folded >> 8U | folded << 8U) & 0xffffU;
  std::uint64_t total = folded + std::uint64_t{initial};
  while (total >> 16U != 0) total = (total & 0xffff) + (total >> 16U);
  return static_cast<std::uint16_t>(total);
}

namespace {

void put16(std::uint8_t* at, std::uint16_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8U);
  at[1] = static_cast<std::uint8_t>(value);
}
void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, static_cast<std::uint16_t>(value >> 16U));
  put16(at + 2, static_cast<std::uint16_t>(value));
}
std::uint16_t get16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8U | at[1]);
}
std::uint32_t get32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(get16(at)) << 16U | get16(at + 2);
}

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::kInvalid, std::string("tun packet: ") + what);
}

// The sum of the pseudo header: addresses, protocol and length of the transport part.
std::uint32_t pseudo_sum(Bytes packet, std::uint8_t protocol, std::size_t l4_length) {
  const bool v4 = packet[0] >> 4U == 4;
  const auto addresses = v4 ? packet.subspan(12, 8) : packet.subspan(8, 32);
  return checksum_sum(addresses, protocol + static_cast<std::uint32_t>(l4_length & 0xffff) +
                                     static_cast<std::uint32_t>(l4_length >> 16U));
}

// Finishes the checksum of a packet; the field already holds the sum of the pseudo header.
Result<std::size_t> finish_checksum(const VnetHeader& header, Bytes packet,
                                    std::span<std::uint8_t> out, std::span<std::uint16_t> lengths) {
  if (packet.size() > out.size() || lengths.empty()) {
    return fail(Errc::kTooLarge, "tun packet: no room");
  }
  std::copy(packet.begin(), packet.end(), out.begin());
  lengths[0] = static_cast<std::uint16_t>(packet.size());
  if ((header.flags & kVnetNeedsCsum) != 0) {
    const std::size_t field = std::size_t{header.csum_start} + header.csum_offset;
    if (field + 2 > packet.size()) return malformed("checksum field outside");
    const auto sum =
        checksum_sum(Bytes(out).subspan(header.csum_start, packet.size() - header.csum_start));
    const auto value = static_cast<std::uint16_t>(~sum);
    // A UDP checksum of zero means "none", so its other form is sent.
    put16(out.data() + field, value == 0 && header.csum_offset == 6 ? 0xffff : value);
  }
  return 1;
}

struct Layout {
  bool v4 = false;
  bool tcp = false;
  std::size_t l4 = 0;       // offset of the transport header
  std::size_t headers = 0;  // all headers
};

Result<Layout> layout_of(const VnetHeader& header, Bytes packet) {
  Layout layout;
  const auto type = static_cast<std::uint8_t>(header.gso_type & ~kGsoEcn);
  layout.tcp = type != kGsoUdpL4;
  if (packet.size() < 20) return malformed("too short");
  layout.v4 = packet[0] >> 4U == 4;
  if (type == kGsoTcpV4 && !layout.v4) return malformed("TSO for IPv4 of another version");
  if (type == kGsoTcpV6 && packet[0] >> 4U != 6)
    return malformed("TSO for IPv6 of another version");
  layout.l4 = header.csum_start;
  const std::size_t least = layout.v4 ? 20 : 40;
  if (layout.l4 < least || layout.l4 + (layout.tcp ? 20 : 8) > packet.size()) {
    return malformed("transport header outside");
  }
  const std::size_t l4_header = layout.tcp ? std::size_t{packet[layout.l4 + 12]} >> 4U << 2U : 8;
  layout.headers = layout.l4 + l4_header;
  if (l4_header < (layout.tcp ? 20U : 8U) || layout.headers >= packet.size()) {
    return malformed("no payload to cut");
  }
  if (header.gso_size == 0) return malformed("segment size 0");
  return layout;
}

}  // namespace

Result<std::size_t> largest_segment(const VnetHeader& header, Bytes packet) {
  if (header.gso_type == kGsoNone) return packet.size();
  const auto layout = layout_of(header, packet);
  if (!layout) return fail(layout.error());
  return layout->headers + std::min<std::size_t>(packet.size() - layout->headers, header.gso_size);
}

Result<std::size_t> split(const VnetHeader& header, Bytes packet, std::span<std::uint8_t> out,
                          std::size_t stride, std::span<std::uint16_t> lengths) {
  if (header.gso_type == kGsoNone) return finish_checksum(header, packet, out, lengths);
  const auto layout = layout_of(header, packet);
  if (!layout) return fail(layout.error());
  const auto payload = packet.subspan(layout->headers);
  const std::size_t count = (payload.size() + header.gso_size - 1) / header.gso_size;
  const std::size_t largest =
      layout->headers + std::min<std::size_t>(payload.size(), header.gso_size);
  if (count > lengths.size() || largest > stride || (count - 1) * stride + largest > out.size()) {
    return fail(Errc::kTooLarge, "tun packet: more segments than room");
  }
  const std::uint8_t protocol = layout->tcp ? 6 : 17;
  const auto first_id = layout->v4 ? get16(packet.data() + 4) : std::uint16_t{0};
  const auto first_seq = layout->tcp ? get32(packet.data() + layout->l4 + 4) : 0U;
  for (std::size_t i = 0; i < count; ++i) {
    const auto chunk = payload.subspan(
        i * header.gso_size,
        std::min<std::size_t>(header.gso_size, payload.size() - i * header.gso_size));
    auto* segment = out.data() + i * stride;
    const auto length = layout->headers + chunk.size();
    std::memcpy(segment, packet.data(), layout->headers);
    std::memcpy(segment + layout->headers, chunk.data(), chunk.size());
    lengths[i] = static_cast<std::uint16_t>(length);
    if (layout->v4) {
      put16(segment + 2, static_cast<std::uint16_t>(length));
      put16(segment + 4, static_cast<std::uint16_t>(first_id + i));
      put16(segment + 10, 0);
      const auto ip_header = static_cast<std::size_t>(segment[0] & 0x0fU) * 4;
      put16(segment + 10,
            static_cast<std::uint16_t>(~checksum_sum({segment, std::min(ip_header, layout->l4)})));
    } else {
      put16(segment + 4, static_cast<std::uint16_t>(length - 40));
    }
    auto* l4 = segment + layout->l4;
    const auto l4_length = length - layout->l4;
    if (layout->tcp) {
      put32(l4 + 4, first_seq + static_cast<std::uint32_t>(i * header.gso_size));
      if (i + 1 < count)
        l4[13] = static_cast<std::uint8_t>(l4[13] & ~0x09U);  // FIN, PSH: last only
      if (i > 0 && (header.gso_type & kGsoEcn) != 0) {
        l4[13] = static_cast<std::uint8_t>(l4[13] & ~0x80U);  // CWR: first only
      }
    } else {
      put16(l4 + 4, static_cast<std::uint16_t>(l4_length));
    }
    auto* field = l4 + (layout->tcp ? 16 : 6);
    put16(field, 0);
    const auto sum =
        checksum_sum({l4, l4_length}, pseudo_sum({segment, length}, protocol, l4_length));
    const auto value = static_cast<std::uint16_t>(~sum);
    put16(field, value == 0 && !layout->tcp ? 0xffff : value);
  }
  return count;
}

}  // namespace cw::tunnel::engine
