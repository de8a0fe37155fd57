#include "tunnel/engine/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace cw::tunnel::engine {

namespace {

struct Free {
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_MAC_CTX* p) const { EVP_MAC_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// Fetched once per process: an implicit fetch costs as much as the hash itself (OpenSSL 3.0).
const EVP_MD* md_blake2s() {
  static const EVP_MD* const kMd = EVP_MD_fetch(nullptr, "BLAKE2S-256", nullptr);
  return kMd;
}

EVP_MAC* mac_blake2s() {
  static EVP_MAC* const kMac = EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr);
  return kMac;
}

EVP_MAC* mac_hmac() {
  static EVP_MAC* const kMac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return kMac;
}

const EVP_CIPHER* cipher() {
  static const EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  return kCipher;
}

std::array<std::uint8_t, 12> nonce_of(std::uint64_t counter) {
  std::array<std::uint8_t, 12> nonce{};
  for (std::size_t i = 0; i < 8; ++i) {
    nonce[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  }
  return nonce;
}

int length(Bytes bytes) { return static_cast<int>(bytes.size()); }

// HMAC-BLAKE2s, one per thread: selecting the hash again costs as much as computing it.
class Hmac {
 public:
  Hmac() : ctx_(EVP_MAC_CTX_new(mac_hmac())) {
    CW_CHECK(ctx_ != nullptr);
    char digest[] = "BLAKE2S-256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    CW_CHECK(EVP_MAC_CTX_set_params(ctx_.get(), params) == 1);
  }
  [[nodiscard]] Bytes32 operator()(Bytes key, std::initializer_list<Bytes> parts) {
    CW_CHECK(EVP_MAC_init(ctx_.get(), key.data(), key.size(), nullptr) == 1);
    return finish(parts);
  }
  // Uses the key of the last call.
  [[nodiscard]] Bytes32 again(std::initializer_list<Bytes> parts) {
    CW_CHECK(EVP_MAC_init(ctx_.get(), nullptr, 0, nullptr) == 1);
    return finish(parts);
  }
  // Replaces the secret key by a public one, zero, so that no state of the secret stays.
  void forget() {
    const Bytes32 zero{};
    CW_CHECK(EVP_MAC_init(ctx_.get(), zero.data(), zero.size(), nullptr) == 1);
  }

 private:
  Bytes32 finish(std::initializer_list<Bytes> parts) {
    for (const auto part : parts) {
      CW_CHECK(EVP_MAC_update(ctx_.get(), part.data(), part.size()) == 1);
    }
    Bytes32 out{};
    std::size_t size = 0;
    CW_CHECK(EVP_MAC_final(ctx_.get(), out.data(), &size, out.size()) == 1 && size == out.size());
    return out;
  }
  Owned<EVP_MAC_CTX> ctx_;
};

Hmac& hmac() {
  thread_local Hmac hmac;
  return hmac;
}

void mac(EVP_MAC* algorithm, Bytes key, const OSSL_PARAM* params,
         std::initializer_list<Bytes> parts, std::span<std::uint8_t> out) {
  const Owned<EVP_MAC_CTX> ctx(EVP_MAC_CTX_new(algorithm));
  CW_CHECK(ctx != nullptr);
  CW_CHECK(EVP_MAC_init(ctx.get(), key.data(), key.size(), params) == 1);
  for (const auto part : parts) {
    CW_CHECK(EVP_MAC_update(ctx.get(), part.data(), part.size()) == 1);
  }
  std::size_t size = 0;
  CW_CHECK(EVP_MAC_final(ctx.get(), out.data(), &size, out.size()) == 1 && size == out.size());
}

}  // namespace

Bytes32 blake2s(std::initializer_list<Bytes> parts) {
  const Owned<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  CW_CHECK(ctx != nullptr && EVP_DigestInit_ex2(ctx.get(), md_blake2s(), nullptr) == 1);
  for (const auto part : parts) {
    CW_CHECK(EVP_DigestUpdate(ctx.get(), part.data(), part.size()) == 1);
  }
  Bytes32 out{};
  CW_CHECK(EVP_DigestFinal_ex(ctx.get(), out.data(), nullptr) == 1);
  return out;
}

Bytes16 blake2s_mac(Bytes key, std::initializer_list<Bytes> parts) {
  Bytes16 out{};
  std::size_t size = out.size();
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_end()};
  mac(mac_blake2s(), key, params, parts, out);
  return out;
}

template <std::size_t N>
std::array<Bytes32, N> kdf(const Bytes32& chain_key, Bytes input) {
  auto& with = hmac();
  auto secret = with(chain_key, {input});
  std::array<Bytes32, N> out{};
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint8_t counter[] = {static_cast<std::uint8_t>(i + 1)};
    out[i] = i == 0 ? with(secret, {counter}) : with.again({out[i - 1], counter});
  }
  with.forget();
  wipe(secret);
  return out;
}

template std::array<Bytes32, 1> kdf<1>(const Bytes32&, Bytes);
template std::array<Bytes32, 2> kdf<2>(const Bytes32&, Bytes);
template std::array<Bytes32, 3> kdf<3>(const Bytes32&, Bytes);

namespace {

Owned<EVP_PKEY> key_of(const Bytes32& private_key, const Bytes32& public_key) {
  const Owned<EVP_PKEY_CTX> ctx(EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr));
  CW_CHECK(ctx != nullptr && EVP_PKEY_fromdata_init(ctx.get()) == 1);
  const auto octets = [](const char* name, const Bytes32& bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), 32);
  };
  // The public key is passed as well: OpenSSL would compute it, which costs more than a shared
  // secret.
  OSSL_PARAM params[] = {octets(OSSL_PKEY_PARAM_PRIV_KEY, private_key),
                         octets(OSSL_PKEY_PARAM_PUB_KEY, public_key), OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  CW_CHECK(EVP_PKEY_fromdata(ctx.get(), &key, EVP_PKEY_KEYPAIR, params) == 1);
  return Owned<EVP_PKEY>(key);
}

}  // namespace

DhKey::DhKey(const Bytes32& private_key, const Bytes32& public_key) {
  const auto key = key_of(private_key, public_key);
  Owned<EVP_PKEY_CTX> ctx(EVP_PKEY_CTX_new(key.get(), nullptr));  // shares the key
  CW_CHECK(ctx != nullptr && EVP_PKEY_derive_init(ctx.get()) == 1);
  ready_ = std::shared_ptr<EVP_PKEY_CTX>(std::move(ctx));
}

std::optional<Bytes32> DhKey::secret_with(const Bytes32& public_key) const {
  const Owned<EVP_PKEY> theirs(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, public_key.data(), 32));
  const Owned<EVP_PKEY_CTX> ctx(EVP_PKEY_CTX_dup(static_cast<const EVP_PKEY_CTX*>(ready_.get())));
  CW_CHECK(theirs != nullptr && ctx != nullptr);
  Bytes32 out{};
  std::size_t size = out.size();
  // Any 32 bytes are a public key, so there is nothing to validate. OpenSSL fails the derivation
  // when the result is all zero. We check that ourselves, too.
  if (EVP_PKEY_derive_set_peer_ex(ctx.get(), theirs.get(), 0) != 1 ||
      EVP_PKEY_derive(ctx.get(), out.data(), &size) != 1 || equal_constant_time(out, Bytes32{})) {
    return std::nullopt;
  }
  return out;
}

void seal(const Bytes32& key, std::uint64_t counter, Bytes plaintext, Bytes aad,
          std::span<std::uint8_t> out) {
  CW_CHECK(out.size() == plaintext.size() + kTagSize);
  const auto nonce = nonce_of(counter);
  const Owned<EVP_CIPHER_CTX> ctx(EVP_CIPHER_CTX_new());
  int n = 0;
  CW_CHECK(EVP_EncryptInit_ex2(ctx.get(), cipher(), key.data(), nonce.data(), nullptr) == 1);
  CW_CHECK(aad.empty() || EVP_EncryptUpdate(ctx.get(), nullptr, &n, aad.data(), length(aad)) == 1);
  CW_CHECK(plaintext.empty() ||
           EVP_EncryptUpdate(ctx.get(), out.data(), &n, plaintext.data(), length(plaintext)) == 1);
  CW_CHECK(EVP_EncryptFinal_ex(ctx.get(), out.data() + plaintext.size(), &n) == 1);
  CW_CHECK(EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize,
                               out.data() + plaintext.size()) == 1);
}

bool open(const Bytes32& key, std::uint64_t counter, Bytes ciphertext, Bytes aad,
          std::span<std::uint8_t> out) {
  if (ciphertext.size() < kTagSize || out.size() != ciphertext.size() - kTagSize) return false;
  const auto nonce = nonce_of(counter);
  const auto body = ciphertext.first(out.size());
  Bytes16 tag{};
  std::copy(ciphertext.end() - kTagSize, ciphertext.end(), tag.begin());
  const Owned<EVP_CIPHER_CTX> ctx(EVP_CIPHER_CTX_new());
  int n = 0;
  CW_CHECK(EVP_DecryptInit_ex2(ctx.get(), cipher(), key.data(), nonce.data(), nullptr) == 1);
  CW_CHECK(EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1);
  CW_CHECK(aad.empty() || EVP_DecryptUpdate(ctx.get(), nullptr, &n, aad.data(), length(aad)) == 1);
  CW_CHECK(body.empty() ||
           EVP_DecryptUpdate(ctx.get(), out.data(), &n, body.data(), length(body)) == 1);
  std::uint8_t none[16];
  if (EVP_DecryptFinal_ex(ctx.get(), none, &n) == 1) return true;
  wipe(out);
  return false;
}

void xseal(const Bytes32& key, const std::array<std::uint8_t, 24>& nonce, Bytes plaintext,
           Bytes aad, std::span<std::uint8_t> out) {
  CW_CHECK(out.size() == plaintext.size() + kTagSize && sodium_init() >= 0);
  CW_CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(),
                                                      plaintext.size(), aad.data(), aad.size(),
                                                      nullptr, nonce.data(), key.data()) == 0);
}

bool xopen(const Bytes32& key, const std::array<std::uint8_t, 24>& nonce, Bytes ciphertext,
           Bytes aad, std::span<std::uint8_t> out) {
  if (ciphertext.size() < kTagSize || out.size() != ciphertext.size() - kTagSize) return false;
  CW_CHECK(sodium_init() >= 0);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, ciphertext.data(),
                                                    ciphertext.size(), aad.data(), aad.size(),
                                                    nonce.data(), key.data()) == 0;
}

bool equal_constant_time(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::span<std::uint8_t> bytes) { OPENSSL_cleanse(bytes.data(), bytes.size()); }

}  // namespace cw::tunnel::engine
