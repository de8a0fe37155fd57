// The tag at the end of every feed message: 16 bytes of HMAC-SHA256 over the message's number in
// its direction and the message. The key is the handshake's. A segment that was forged into the
// connection has a wrong tag, and so has a message that was left out, repeated or moved. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace cw::gateway {

using HmacKey = std::array<std::uint8_t, 32>;
[[nodiscard]] std::array<std::uint8_t, 32> hmac_sha256(const HmacKey& key, std::string_view input);

inline constexpr std::size_t kMessageTag = 16;

class MessageTags {
 public:
  explicit MessageTags(const HmacKey& key) : key_(key) {}

  // Returns the message with its tag.
  [[nodiscard]] std::string seal(std::string_view message);
  // Returns the message without its tag, a part of `sealed`. kInvalid: not the next message's tag.
  [[nodiscard]] Result<std::string_view> open(std::string_view sealed);

 private:
  [[nodiscard]] std::array<std::uint8_t, 32> next(std::string_view message);

  HmacKey key_;
  std::uint64_t number_ = 0;
};

}  // namespace cw::gateway
