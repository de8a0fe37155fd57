// The handshake's primitives (crypto.h) against published vectors and each other. Names carry the
// item numbers of docs/protocol/wireguard.md.
#include "tunnel/engine/crypto.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/fake/sim_loop.h"
#include "tests/tunnel/engine/hex.h"
#include "tunnel/key.h"

namespace cw::tunnel::engine {
namespace {

Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Bytes32 hmac_blake2s(const Bytes32& key, std::uint8_t message) {
  Bytes32 out{};
  EXPECT_NE(::HMAC(EVP_blake2s256(), key.data(), static_cast<int>(key.size()), &message, 1,
                   out.data(), nullptr),
            nullptr);
  return out;
}

// Values below: RFC 7693 appendix B, and Python's hashlib and hmac.
TEST(Crypto, Blake2sMatchesItsVectors) {
  EXPECT_EQ(hex(blake2s({bytes_of("abc")})),
            "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
  EXPECT_EQ(hex(blake2s({bytes_of("a"), bytes_of("bc")})), hex(blake2s({bytes_of("abc")})));
}

// Vectors made with Python's hmac and hashlib.blake2s: key 00..1f, input "input key material".
TEST(Crypto, Item11_KeyDerivationMatchesItsVectors) {
  Bytes32 key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  const std::string text = "input key material";
  const Bytes input(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  const Bytes32 one = {0x93, 0xe2, 0xa6, 0x58, 0x83, 0xe3, 0x4a, 0xc9, 0x54, 0x85, 0xf5,
                       0xd0, 0xaa, 0x4b, 0x09, 0x16, 0x3a, 0x4e, 0x94, 0x4d, 0xab, 0x8c,
                       0xf9, 0x40, 0x6d, 0x3a, 0x13, 0x8e, 0x36, 0x28, 0x51, 0xc6};
  const Bytes32 two = {0xdd, 0x6f, 0xae, 0x42, 0xaf, 0xdb, 0x2a, 0x41, 0x17, 0x0f, 0x44,
                       0xdc, 0x5b, 0x88, 0x5e, 0xc4, 0xcf, 0xd1, 0x7c, 0x8d, 0xd3, 0x24,
                       0xd3, 0x8b, 0x39, 0x0c, 0x54, 0x86, 0x30, 0xdd, 0x0a, 0x83};
  const Bytes32 three = {0x41, 0x25, 0xe0, 0xad, 0xfa, 0x9b, 0x7e, 0x73, 0x66, 0x15, 0xe9,
                         0x9d, 0xde, 0x6f, 0x3f, 0x0b, 0x64, 0xb9, 0x49, 0xd8, 0xb4, 0x80,
                         0xe8, 0x2c, 0xab, 0x2e, 0x68, 0x5d, 0xc2, 0x86, 0xe4, 0x5d};
  EXPECT_EQ((kdf<1>(key, input)), (std::array<Bytes32, 1>{one}));
  EXPECT_EQ((kdf<2>(key, input)), (std::array<Bytes32, 2>{one, two}));
  EXPECT_EQ((kdf<3>(key, input)), (std::array<Bytes32, 3>{one, two, three}));
}

TEST(Crypto, Item8_InitialChainKeyAndHash) {
  const auto ck = blake2s({bytes_of("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")});
  EXPECT_EQ(hex(ck), "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
  EXPECT_EQ(hex(blake2s({ck, bytes_of("WireGuard v1 zx2c4 Jason@zx2c4.com")})),
            "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
}

TEST(Crypto, Item11_KeyDerivationIsOfItsOwnKeyWhateverWentBefore) {
  const auto derive = [](std::uint8_t n) {
    Bytes32 key{};
    key.fill(n);
    return kdf<3>(key, Bytes(&n, 1));
  };
  std::vector<std::array<Bytes32, 3>> want;
  for (std::uint8_t n = 0; n < 50; ++n) want.push_back(derive(n));
  EXPECT_NE(want[1], want[2]);
  std::thread other([&] {
    for (std::uint8_t n = 50; n-- > 0;) EXPECT_EQ(derive(n), want[n]);
  });
  for (std::uint8_t n = 0; n < 50; ++n) {
    Bytes32 key{};
    key.fill(n);
    EXPECT_EQ(hmac_blake2s(hmac_blake2s(key, n), 1), want[n][0]);
  }
  other.join();
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Whether the heap now has a 64-byte block that begins with `key`, each byte xor `pad`. Sanitizers
// have a heap of their own.
bool heap_has(const Bytes32& key, std::uint8_t pad) {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line) && line.find("[heap]") == std::string::npos) {
  }
  char* end = nullptr;
  const auto* at = reinterpret_cast<const std::uint8_t*>(std::strtoul(line.c_str(), &end, 16));
  const auto* last = reinterpret_cast<const std::uint8_t*>(std::strtoul(end + 1, nullptr, 16));
  for (; at + 64 <= last; ++at) {
    std::size_t i = 0;
    while (i < 64 && at[i] == ((i < 32 ? key[i] : 0) ^ pad)) ++i;
    if (i == 64) return true;
  }
  return false;
}

TEST(Crypto, KeyDerivationLeavesNothingOfTheKeyInItsContext) {
  Bytes32 key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i * 37 + 11);
  {
    Bytes32 known{};
    known.fill(0x5c);
    // Too large for the thread's cache, which may hold blocks of another thread's arena. These are
    // outside of [heap].
    std::vector<std::uint8_t> block(4096);
    for (std::size_t i = 0; i < 64; ++i) {
      block[i] = static_cast<std::uint8_t>((i < 32 ? 0x5c : 0) ^ 0x36);
    }
    EXPECT_TRUE(heap_has(known, 0x36));  // a key that is there is found
  }
  (void)kdf<2>(key, key);
  EXPECT_FALSE(heap_has(key, 0x36));  // HMAC's inner and outer block
  EXPECT_FALSE(heap_has(key, 0x5c));
}
#endif

// RFC 7748 section 6.1.
TEST(Crypto, SharedSecretsAreX25519) {
  const auto bob =
      *Key::from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const auto alice =
      *Key::from_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  auto key = std::make_optional<DhKey>(bob.bytes(), bob.public_key().bytes());
  const auto copy = *key;
  const auto secret = key->secret_with(alice.bytes());
  ASSERT_TRUE(secret);
  EXPECT_EQ(hex(*secret), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  key.reset();
  EXPECT_EQ(copy.secret_with(alice.bytes()), secret);  // the copy outlives its original
  EXPECT_FALSE(copy.secret_with({}));                  // low order
  EXPECT_FALSE(copy.secret_with(Bytes32{1}));
}

// Two libraries compute public keys and secrets, so they must agree.
TEST(Crypto, SecretsAgreeWithPublicKeys) {
  SeededRandom random(5);
  for (int i = 0; i < 50; ++i) {
    const auto a = Key::generate_private(random);
    const auto b = Key::generate_preshared(random);  // not clamped
    const DhKey with_a(a.bytes(), a.public_key().bytes());
    const DhKey with_b(b.bytes(), b.public_key().bytes());
    const auto secret = with_a.secret_with(b.public_key().bytes());
    ASSERT_TRUE(secret);
    EXPECT_EQ(with_b.secret_with(a.public_key().bytes()), secret);
    Bytes32 base{9};
    EXPECT_EQ(with_a.secret_with(base), a.public_key().bytes());
  }
}

TEST(Crypto, OpenRefusesEveryFlippedBitAndLeavesNothing) {
  Bytes32 key{};
  key.fill(7);
  std::array<std::uint8_t, 40> sealed{};
  seal(key, 5, bytes_of("twenty-four bytes of it!"), bytes_of("aad"), sealed);
  std::array<std::uint8_t, 24> out{};
  ASSERT_TRUE(open(key, 5, sealed, bytes_of("aad"), out));
  EXPECT_FALSE(open(key, 6, sealed, bytes_of("aad"), out));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto broken = sealed;
    broken[bit / 8] = static_cast<std::uint8_t>(broken[bit / 8] ^ (1U << (bit % 8)));
    out.fill(1);
    ASSERT_FALSE(open(key, 5, broken, bytes_of("aad"), out));
    EXPECT_TRUE(std::all_of(out.begin(), out.end(), [](auto b) { return b == 0; }));
  }
}

}  // namespace
}  // namespace cw::tunnel::engine
