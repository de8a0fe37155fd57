#include "tunnel/key.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "tunnel/fingerprint.h"

namespace cw::tunnel {
namespace {

// RFC 7748 section 6.1.
TEST(Key, PublicKeysAreX25519) {
  const auto bob =
      Key::from_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  ASSERT_TRUE(bob);
  EXPECT_EQ(bob->public_key().hex(),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
}

TEST(Key, TextFormsRoundTripAndAreStrict) {
  SeededRandom random(1);
  const auto key = Key::generate_private(random);
  EXPECT_EQ(*Key::from_base64(key.base64()), key);
  EXPECT_EQ(*Key::from_hex(key.hex()), key);
  for (const auto& bad :
       {std::string(), key.base64().substr(1), key.base64() + "=", " " + key.base64().substr(1),
        std::string(44, '='), std::string(44, '!')}) {
    EXPECT_FALSE(Key::from_base64(bad)) << bad;
  }
  EXPECT_FALSE(Key::from_hex(key.hex().substr(1)));
  EXPECT_FALSE(Key::from_hex("g" + key.hex().substr(1)));
}

TEST(Key, PrivateKeysAreClamped) {
  SeededRandom random(2);
  for (int i = 0; i < 100; ++i) {
    const auto key = Key::generate_private(random);
    EXPECT_EQ(key.bytes()[0] & 7U, 0U);
    EXPECT_EQ(key.bytes()[31] & 0xc0U, 0x40U);
  }
}

TEST(ControlAddress, IsAUniqueLocalAddressOfTheKey) {
  SeededRandom random(3);
  const auto a = Key::generate_private(random).public_key();
  const auto b = Key::generate_private(random).public_key();
  EXPECT_EQ(control_address(a), control_address(a));
  EXPECT_NE(control_address(a), control_address(b));
  EXPECT_TRUE(Prefix::parse("fd00::/8")->contains(control_address(a)));
}

// Made with sha256sum and base32 of coreutils.
TEST(Fingerprint, IsTheBase32OfTheKeysDigest) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(1);
  EXPECT_EQ(fingerprint(Key(bytes)), "OLGW5-BBCYQ-D7W3I-JQ2IP-CEYLP");
  for (std::uint8_t i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(fingerprint(Key(bytes)), "MMG42-KLGYQ-ZWNEI-SKREL-XMS3J");
}

}  // namespace
}  // namespace cw::tunnel
