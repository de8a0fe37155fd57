#include "tunnel/key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <span>

namespace cw::tunnel {

Key::~Key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Result<Key> Key::from_base64(std::string_view text) {
  const auto bad = [] {
    return fail(Errc::kInvalid, "a key is 44 characters of base64 (32 bytes)");
  };
  if (text.size() != 44 || text.back() != '=' || text[42] == '=') return bad();
  const bool alphabet = std::all_of(text.begin(), text.end() - 1, [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
  if (!alphabet) return bad();
  std::array<std::uint8_t, 33> raw{};
  if (EVP_DecodeBlock(raw.data(), reinterpret_cast<const unsigned char*>(text.data()), 44) != 33) {
    return bad();
  }
  Key key;
  std::copy_n(raw.begin(), 32, key.bytes_.begin());
  OPENSSL_cleanse(raw.data(), raw.size());
  return key;
}

Result<Key> Key::from_hex(std::string_view text) {
  Key key;
  std::size_t size = 0;
  if (text.size() != 64 ||
      sodium_hex2bin(key.bytes_.data(), key.bytes_.size(), text.data(), text.size(), nullptr, &size,
                     nullptr) != 0 ||
      size != key.bytes_.size()) {
    return fail(Errc::kInvalid, "a key is 64 hexadecimal digits");
  }
  return key;
}

Key Key::generate_preshared(Random& random) {
  Key key;
  random.fill(std::as_writable_bytes(std::span(key.bytes_)));
  return key;
}

Key Key::generate_private(Random& random) {
  Key key = generate_preshared(random);
  key.bytes_[0] = static_cast<std::uint8_t>(key.bytes_[0] & 248U);  // RFC 7748 section 5
  key.bytes_[31] = static_cast<std::uint8_t>((key.bytes_[31] & 127U) | 64U);
  return key;
}

Key Key::public_key() const {
  Key out;
  CW_CHECK(crypto_scalarmult_base(out.bytes_.data(), bytes_.data()) == 0);
  return out;
}

bool Key::is_zero() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

std::string Key::base64() const {
  std::string out(45, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes_.data(), 32);
  out.resize(44);
  return out;
}

std::string Key::hex() const {
  std::string out(65, '\0');
  sodium_bin2hex(out.data(), out.size(), bytes_.data(), bytes_.size());
  out.resize(64);
  return out;
}

KeyDigest digest_of(std::string_view label, std::initializer_list<const Key*> keys,
                    std::string_view name) {
  std::string input(label);
  for (const auto* key : keys) input.append(key->bytes().begin(), key->bytes().end());
  input += name;
  KeyDigest digest{};
  CW_CHECK(EVP_Digest(input.data(), input.size(), digest.data(), nullptr, EVP_sha256(), nullptr) ==
           1);
  return digest;
}

IpAddress control_address(const Key& public_key) {
  const auto digest = digest_of("causeway control address", {&public_key});
  std::array<std::uint8_t, 16> address{0xfd};
  std::copy_n(digest.begin(), 15, address.begin() + 1);
  return IpAddress::v6(address);
}

}  // namespace cw::tunnel
