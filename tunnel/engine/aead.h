// The data path's AEAD: ChaCha20-Poly1305 over whole batches of data messages, in place, outside
// any lock. Two back ends: OpenSSL (everywhere) and Intel IPsec-MB (x86-64, about twice the rate
// with AVX-512, slower without). make_aead() checks each against a known answer and times it, once
// a process, and takes the fastest. One Aead a thread: not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

// A message body in place: `size` bytes of plaintext at `data`, followed by room for (seal) or the
// bytes of (open) the 16-byte tag.
struct AeadItem {
  std::uint64_t counter = 0;
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  bool ok = false;  // set by open(); data is zeroed where it is false
};

class Aead {
 public:
  virtual ~Aead() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void seal(const Bytes32& key, std::span<AeadItem> items) = 0;
  virtual void open(const Bytes32& key, std::span<AeadItem> items) = 0;
};

enum class AeadChoice : std::uint8_t { kFastest, kOpenSsl, kIpsecMb };

// Null if the back end asked for is not there or fails its known-answer test.
[[nodiscard]] std::unique_ptr<Aead> make_aead(AeadChoice choice);

namespace detail {
[[nodiscard]] std::unique_ptr<Aead> make_openssl_aead();
[[nodiscard]] std::unique_ptr<Aead> make_ipsec_mb_aead();  // null without the library or the CPU
}  // namespace detail

}  // namespace cw::tunnel::engine
