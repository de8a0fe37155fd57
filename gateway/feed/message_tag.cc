#include "gateway/feed/message_tag.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace cw::gateway {

std::array<std::uint8_t, 32> hmac_sha256(const HmacKey& key, std::string_view input) {
  std::array<std::uint8_t, 32> mac{};
  unsigned size = 0;
  CW_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac.data(),
                &size) != nullptr &&
           size == mac.size());
  return mac;
}

std::array<std::uint8_t, 32> MessageTags::next(std::string_view message) {
  std::string input;
  input.reserve(8 + message.size());
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    input.push_back(static_cast<char>((number_ >> (shift - 8)) & 0xFFU));
  }
  ++number_;
  input += message;
  return hmac_sha256(key_, input);
}

std::string MessageTags::seal(std::string_view message) {
  const auto mac = next(message);
  std::string sealed(message);
  sealed.append(reinterpret_cast<const char*>(mac.data()), kMessageTag);
  return sealed;
}

Result<std::string_view> MessageTags::open(std::string_view sealed) {
  if (sealed.size() < kMessageTag) return fail(Errc::kInvalid, "feed: a message without a tag");
  const auto message = sealed.substr(0, sealed.size() - kMessageTag);
  const auto mac = next(message);
  if (CRYPTO_memcmp(mac.data(), sealed.data() + message.size(), kMessageTag) != 0) {
    return fail(Errc::kInvalid, "feed: a message with a wrong tag");
  }
  return message;
}

}  // namespace cw::gateway
