// A WireGuard key of 32 bytes: public, private or pre-shared. Its text form is base64 (as wg's), or
// hex in the UAPI. The destructor wipes it. libsodium computes public keys, because it is two and a
// half times as fast as OpenSSL 3.0.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/prefix.h"
#include "base/random.h"

namespace cw::tunnel {

class Key {
 public:
  Key() = default;  // all zero
  explicit Key(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}
  Key(const Key&) = default;
  Key& operator=(const Key&) = default;
  ~Key();  // wipes

  [[nodiscard]] static Result<Key> from_base64(std::string_view text);
  [[nodiscard]] static Result<Key> from_hex(std::string_view text);
  [[nodiscard]] static Key generate_private(Random& random);  // clamped
  [[nodiscard]] static Key generate_preshared(Random& random);
  [[nodiscard]] Key public_key() const;  // of a private key

  [[nodiscard]] const std::array<std::uint8_t, 32>& bytes() const { return bytes_; }
  [[nodiscard]] bool is_zero() const;
  [[nodiscard]] std::string base64() const;
  [[nodiscard]] std::string hex() const;
  // For public keys only: the comparison does not take constant time.
  friend auto operator<=>(const Key&, const Key&) = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

// SHA-256 of the label, the keys' bytes and the name, one after the other. For what other parties
// compute from public keys.
using KeyDigest = std::array<std::uint8_t, 32>;
[[nodiscard]] KeyDigest digest_of(std::string_view label, std::initializer_list<const Key*> keys,
                                  std::string_view name = {});

// The control address of the gateway with this public key: fd + the first 120 bits of
// SHA-256("causeway control address" || key). An IPv6 ULA, an extra /128 allowed IP of that peer.
[[nodiscard]] IpAddress control_address(const Key& public_key);

}  // namespace cw::tunnel
