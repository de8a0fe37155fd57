#include "tunnel/pair_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <string>

namespace cw::tunnel {

namespace {

using Bytes32 = std::array<std::uint8_t, 32>;
using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

// Wiped when it goes out of scope.
struct Secret {
  Bytes32 bytes{};
  Secret() = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

// False: the secret would be all zero. OpenSSL refuses it, too.
bool agree(const Key& own_private, const Key& other_public, Secret& shared) {
  const Pkey own(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, own_private.bytes().data(),
                                              own_private.bytes().size()),
                 &EVP_PKEY_free);
  const Pkey other(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, other_public.bytes().data(),
                                  other_public.bytes().size()),
      &EVP_PKEY_free);
  CW_CHECK(own != nullptr && other != nullptr);
  const PkeyContext context(EVP_PKEY_CTX_new(own.get(), nullptr), &EVP_PKEY_CTX_free);
  CW_CHECK(context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
           EVP_PKEY_derive_set_peer(context.get(), other.get()) == 1);
  std::size_t size = shared.bytes.size();
  if (EVP_PKEY_derive(context.get(), shared.bytes.data(), &size) != 1) return false;
  CW_CHECK(size == shared.bytes.size());
  constexpr Bytes32 kZero{};
  return CRYPTO_memcmp(shared.bytes.data(), kZero.data(), kZero.size()) != 0;
}

PairKey expand(Secret& shared, std::string& info) {
  EVP_KDF* hkdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(hkdf);
  EVP_KDF_free(hkdf);
  CW_CHECK(context != nullptr);
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 4> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, shared.bytes.data(),
                                        shared.bytes.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
      OSSL_PARAM_construct_end()};
  PairKey key{};
  CW_CHECK(EVP_KDF_derive(context, key.data(), key.size(), parameters.data()) == 1);
  EVP_KDF_CTX_free(context);
  return key;
}

}  // namespace

Result<PairKey> pair_key(const Key& own_private, const Key& other_public, std::string_view label) {
  const Key own_public = own_private.public_key();
  if (own_public == other_public) {
    return fail(Errc::kInvalid, "the other party has our own public key");
  }
  Secret shared;
  if (!agree(own_private, other_public, shared)) {
    return fail(Errc::kInvalid, "the other party's public key is a point of low order");
  }
  std::string info(label);
  info.push_back('\0');
  for (const auto& key : {std::min(own_public, other_public), std::max(own_public, other_public)}) {
    info.append(reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size());
  }
  return expand(shared, info);
}

}  // namespace cw::tunnel
