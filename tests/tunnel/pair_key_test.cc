#include "tunnel/pair_key.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"

namespace cw::tunnel {
namespace {

Key private_key(std::uint64_t seed) {
  SeededRandom random(seed);
  return Key::generate_private(random);
}

Key hex_key(std::string_view hex) { return *Key::from_hex(hex); }

TEST(PairKey, BothSidesHaveTheSameKeyAndNoOtherPartyHasIt) {
  const auto a = private_key(1);
  const auto b = private_key(2);
  const auto c = private_key(3);
  const auto key = pair_key(a, b.public_key(), kProbeLabel);
  ASSERT_TRUE(key) << key.error().text;
  EXPECT_EQ(*key, *pair_key(b, a.public_key(), kProbeLabel));
  EXPECT_NE(*key, *pair_key(c, a.public_key(), kProbeLabel));
  EXPECT_NE(*key, *pair_key(c, b.public_key(), kProbeLabel));
  EXPECT_NE(*key, *pair_key(a, b.public_key(), kFeedLabel)) << "a label is a use of its own";
}

// Another program computed the expected key, directly from RFC 7748 and RFC 5869.
TEST(PairKey, IsTheKeyOfTheDocumentedConstruction) {
  const auto a = hex_key("77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a");
  const auto b = hex_key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  const auto key = pair_key(a, b.public_key(), "causeway probe v3");
  ASSERT_TRUE(key);
  EXPECT_EQ(Key(*key).hex(), "2094fa27c87edb21f18b68c24f3d8ae933cfb6e428df8e3bd3e0efb40eff1ba0");
}

TEST(PairKey, RefusesEveryPointOfLowOrder) {
  for (const auto* low : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                          "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto key = pair_key(private_key(1), hex_key(low), kProbeLabel);
    ASSERT_FALSE(key) << low;
    EXPECT_EQ(key.error().code, Errc::kInvalid);
  }
}

TEST(PairKey, RefusesOurOwnPublicKey) {
  const auto own = private_key(1);
  EXPECT_FALSE(pair_key(own, own.public_key(), kProbeLabel));
}

}  // namespace
}  // namespace cw::tunnel
