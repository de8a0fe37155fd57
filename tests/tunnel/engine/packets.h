// Packets for the engine's tests, built and checked byte by byte without the code under test.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cw::tunnel::engine::packets {

using Packet = std::vector<std::uint8_t>;

inline unsigned get(std::span<const std::uint8_t> p, std::size_t at, std::size_t n) {
  unsigned value = 0;
  for (std::size_t i = 0; i < n; ++i) value = value << 8U | p[at + i];
  return value;
}
inline void set(std::span<std::uint8_t> p, std::size_t at, std::size_t n, std::uint64_t value) {
  for (std::size_t i = n; i-- > 0; value >>= 8U) p[at + i] = static_cast<std::uint8_t>(value);
}

// RFC 1071, one big-endian 16-bit word after the other; 0xffff for data with a valid checksum.
inline unsigned sum16(std::span<const std::uint8_t> bytes, unsigned start = 0) {
  std::uint64_t sum = start;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? static_cast<unsigned>(bytes[i]) << 8U : bytes[i];
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<unsigned>(sum);
}

inline std::size_t ip_size(std::span<const std::uint8_t> p) { return p[0] >> 4U == 4 ? 20 : 40; }
inline bool is_tcp(std::span<const std::uint8_t> p) { return (p[0] >> 4U == 4 ? p[9] : p[6]) == 6; }
inline unsigned pseudo(std::span<const std::uint8_t> p) {
  const bool v4 = p[0] >> 4U == 4;
  const auto l4 = static_cast<unsigned>(p.size() - ip_size(p));
  return sum16(v4 ? p.subspan(12, 8) : p.subspan(8, 32), l4 + (is_tcp(p) ? 6U : 17U));
}
inline bool checksums_right(std::span<const std::uint8_t> p) {
  if (p[0] >> 4U == 4 && sum16(p.first(20)) != 0xffff) return false;
  return sum16(p.subspan(ip_size(p)), pseudo(p)) == 0xffff;
}
// Writes full checksums, in place.
inline void finish(Packet& p) {
  if (p[0] >> 4U == 4) {
    set(p, 10, 2, 0);
    set(p, 10, 2, ~sum16(std::span<const std::uint8_t>(p).first(20)) & 0xffffU);
  }
  const auto field = ip_size(p) + (is_tcp(p) ? 16 : 6);
  set(p, field, 2, 0);
  auto value = ~sum16(std::span<const std::uint8_t>(p).subspan(ip_size(p)), pseudo(p)) & 0xffffU;
  if (value == 0 && !is_tcp(p)) value = 0xffff;
  set(p, field, 2, value);
}

struct Shape {
  bool v6 = false;
  bool tcp = true;
  std::uint16_t port = 1000;  // the flow
  std::uint32_t seq = 1;
  std::uint8_t flags = 0x10;
  std::uint16_t id = 7;
  std::size_t options = 12;  // TCP
  std::uint8_t first = 0;    // first byte of the payload, which counts up
};

inline Packet make(const Shape& shape, std::size_t payload) {
  const std::size_t ip = shape.v6 ? 40 : 20;
  const std::size_t l4 = shape.tcp ? 20 + shape.options : 8;
  Packet p(ip + l4 + payload);
  if (shape.v6) {
    p[0] = 0x60;
    set(p, 4, 2, l4 + payload);
    p[6] = shape.tcp ? 6 : 17;
    p[7] = 64;
    p[8] = p[24] = 0xfd;
    p[23] = 1;
    p[39] = 2;
  } else {
    p[0] = 0x45;
    set(p, 2, 2, p.size());
    set(p, 4, 2, shape.id);
    p[6] = 0x40;
    p[8] = 64;
    p[9] = shape.tcp ? 6 : 17;
    set(p, 12, 4, 0x0a010001);
    set(p, 16, 4, 0x0a020001);
  }
  set(p, ip, 2, shape.port);
  set(p, ip + 2, 2, 5201);
  if (shape.tcp) {
    set(p, ip + 4, 4, shape.seq);
    set(p, ip + 8, 4, 99);
    p[ip + 12] = static_cast<std::uint8_t>(l4 / 4 << 4U);
    p[ip + 13] = shape.flags;
    set(p, ip + 14, 2, 512);
    for (std::size_t i = 20; i < l4; ++i) p[ip + i] = 1;  // NOP
  } else {
    set(p, ip + 4, 2, l4 + payload);
  }
  for (std::size_t i = 0; i < payload; ++i) {
    p[ip + l4 + i] = static_cast<std::uint8_t>(shape.first + i * 7);
  }
  finish(p);
  return p;
}

}  // namespace cw::tunnel::engine::packets
