// Unsigned integers in network order. The caller has checked that they are inside of the bytes.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

namespace cw {

template <std::unsigned_integral T>
void put_big_endian(std::span<std::byte> out, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof value; ++i) {
    out[at + i] = static_cast<std::byte>(value >> (8 * (sizeof value - 1 - i)));
  }
}

template <std::unsigned_integral T>
[[nodiscard]] T get_big_endian(std::span<const std::byte> in, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value = static_cast<T>(value << 8U | std::to_integer<T>(in[at + i]));
  }
  return value;
}

template <std::unsigned_integral T>
void append_big_endian(std::vector<std::byte>& out, T value) {
  out.resize(out.size() + sizeof value);
  put_big_endian(std::span(out), out.size() - sizeof value, value);
}

}  // namespace cw
