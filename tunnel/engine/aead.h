// The data path's AEAD: ChaCha20-Poly1305 over whole batches of data messages, in place, outside of
// any lock. There are two back ends. OpenSSL works everywhere. Intel IPsec-MB needs x86-64; it has
// about twice the rate with AVX-512 and is slower without. Once per process, make_aead() checks
// each against a known answer, times it, and takes the fastest. Not thread-safe: one Aead per
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tunnel/engine/crypto.h"

namespace cw::tunnel::engine {

// A message body in place: `size` bytes of plaintext or ciphertext at `data`. The 16 bytes of the
// tag follow: seal() writes them, open() reads them.
struct AeadItem {
  std::uint64_t counter = 0;
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  bool ok = false;  // set by open(); where it is false, data is zeroed
};

class Aead {
 public:
  virtual ~Aead() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void seal(const Bytes32& key, std::span<AeadItem> items) = 0;
  virtual void open(const Bytes32& key, std::span<AeadItem> items) = 0;
};

enum class AeadChoice : std::uint8_t { kFastest, kOpenSsl, kIpsecMb };

// Null if the chosen back end is not available or fails its known-answer test.
[[nodiscard]] std::unique_ptr<Aead> make_aead(AeadChoice choice);

namespace detail {
[[nodiscard]] std::unique_ptr<Aead> make_openssl_aead();
[[nodiscard]] std::unique_ptr<Aead> make_ipsec_mb_aead();  // null without the library or the CPU
}  // namespace detail

}  // namespace cw::tunnel::engine
