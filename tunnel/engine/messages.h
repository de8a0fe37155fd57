// The four WireGuard messages, their sizes and offsets (paper section 5.4, all little endian):
//
// clang-format off
//   initiation  148  type 1 | 000 | sender 4 | ephemeral 32 | static+16 48 | timestamp+16 28
//                    | mac1 16 | mac2 16
//   response     92  type 2 | 000 | sender 4 | receiver 4 | ephemeral 32 | empty+16 16
//                    | mac1 16 | mac2 16
//   cookie       64  type 3 | 000 | receiver 4 | nonce 24 | cookie+16 32
//   data       >=32  type 4 | 000 | receiver 4 | counter 8 | packet+16
// clang-format on
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

enum class MessageType : std::uint8_t { kInitiation = 1, kResponse = 2, kCookie = 3, kData = 4 };

inline constexpr std::size_t kInitiationSize = 148;
inline constexpr std::size_t kResponseSize = 92;
inline constexpr std::size_t kCookieSize = 64;
inline constexpr std::size_t kDataHeader = 16;
inline constexpr std::size_t kMacsSize = 32;  // mac1 and mac2, the last bytes of types 1 and 2

using Initiation = std::array<std::uint8_t, kInitiationSize>;
using Response = std::array<std::uint8_t, kResponseSize>;
using CookieReply = std::array<std::uint8_t, kCookieSize>;

// The type of a well-formed message: known type, reserved bytes zero, exact size (data: minimal
// size).
[[nodiscard]] inline std::optional<MessageType> message_type(Bytes message) {
  if (message.size() < 4 || message[1] != 0 || message[2] != 0 || message[3] != 0)
    return std::nullopt;
  switch (message[0]) {
    case 1:
      if (message.size() == kInitiationSize) return MessageType::kInitiation;
      break;
    case 2:
      if (message.size() == kResponseSize) return MessageType::kResponse;
      break;
    case 3:
      if (message.size() == kCookieSize) return MessageType::kCookie;
      break;
    case 4:
      if (message.size() >= kDataHeader + kTagSize) return MessageType::kData;
      break;
    default:
      break;
  }
  return std::nullopt;
}

// The wire is little endian. noise.cc has a static_assert that the machine is, too.
template <typename T>
[[nodiscard]] inline T load_le(Bytes message, std::size_t offset) {
  T value{};
  std::memcpy(&value, message.data() + offset, sizeof value);
  return value;
}
template <typename T>
inline void store_le(std::span<std::uint8_t> message, std::size_t offset, T value) {
  std::memcpy(message.data() + offset, &value, sizeof value);
}

// The receiver index of a response, cookie or data message.
[[nodiscard]] inline std::uint32_t receiver_of(Bytes message) {
  return load_le<std::uint32_t>(message, message[0] == 2 ? 8 : 4);
}

}  // namespace cw::tunnel::engine
