// The primitives of the WireGuard handshake, each one call into a library: BLAKE2s, HMAC, HKDF,
// X25519, ChaCha20-Poly1305 (OpenSSL) and XChaCha20-Poly1305 (libsodium). They serve handshakes;
// the data path's AEAD works in batches (aead.h). Names and constants follow Donenfeld, "WireGuard:
// Next Generation Kernel Network Tunnel" (NDSS 2017), section 5.4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace cw::tunnel::engine {

using Bytes = std::span<const std::uint8_t>;
using Bytes32 = std::array<std::uint8_t, 32>;
using Bytes16 = std::array<std::uint8_t, 16>;
inline constexpr std::size_t kTagSize = 16;

// BLAKE2s-256 over the concatenation of `parts`.
[[nodiscard]] Bytes32 blake2s(std::initializer_list<Bytes> parts);
// Keyed BLAKE2s with 16 bytes of output: Mac() of the paper. It is not a truncated longer digest.
[[nodiscard]] Bytes16 blake2s_mac(Bytes key, std::initializer_list<Bytes> parts);

// Kdf1..3 of the paper: HKDF with HMAC-BLAKE2s.
template <std::size_t N>
[[nodiscard]] std::array<Bytes32, N> kdf(const Bytes32& chain_key, Bytes input);

// An X25519 private key with its public key, prepared once for any number of shared secrets: the
// preparation costs about as much as one secret. Copies share the prepared key, and any thread may
// use it. The last copy wipes it.
class DhKey {
 public:
  DhKey(const Bytes32& private_key, const Bytes32& public_key);
  // Returns nothing if the result is all zero: `public_key` is a low-order point.
  [[nodiscard]] std::optional<Bytes32> secret_with(const Bytes32& public_key) const;

 private:
  std::shared_ptr<void> ready_;  // never changed: each secret works on a copy
};

// ChaCha20-Poly1305 with nonce 4 zero bytes || counter (LE64). `out` is the plaintext's size + 16.
void seal(const Bytes32& key, std::uint64_t counter, Bytes plaintext, Bytes aad,
          std::span<std::uint8_t> out);
// `out` is the ciphertext's size - 16; false, and `out` zero, if the tag is wrong.
[[nodiscard]] bool open(const Bytes32& key, std::uint64_t counter, Bytes ciphertext, Bytes aad,
                        std::span<std::uint8_t> out);
// XChaCha20-Poly1305, for cookies.
void xseal(const Bytes32& key, const std::array<std::uint8_t, 24>& nonce, Bytes plaintext,
           Bytes aad, std::span<std::uint8_t> out);
[[nodiscard]] bool xopen(const Bytes32& key, const std::array<std::uint8_t, 24>& nonce,
                         Bytes ciphertext, Bytes aad, std::span<std::uint8_t> out);

[[nodiscard]] bool equal_constant_time(Bytes a, Bytes b);
void wipe(std::span<std::uint8_t> bytes);

}  // namespace cw::tunnel::engine
