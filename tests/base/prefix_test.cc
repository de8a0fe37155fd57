#include "base/prefix.h"

#include <gtest/gtest.h>

namespace cw {
namespace {

TEST(Prefix, ParsesBothFamiliesAndPrintsThemBack) {
  for (const auto* text : {"10.8.0.0/16", "0.0.0.0/0", "192.0.2.1/32", "fd00::/64", "::/0"}) {
    const auto prefix = Prefix::parse(text);
    ASSERT_TRUE(prefix) << text;
    EXPECT_EQ(prefix->to_string(), text);
  }
}

TEST(Prefix, RefusesHostBitsAndSaysWhichNetworkWasMeant) {
  const auto prefix = Prefix::parse("10.8.1.0/16");
  ASSERT_FALSE(prefix);
  EXPECT_NE(prefix.error().text.find("10.8.0.0/16"), std::string::npos);
}

TEST(Prefix, RefusesWhatIsNotOne) {
  for (const auto* text : {"", "/", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0/8",
                           "::/129", "fe80::1%eth0/64", "10.0.0.0/8 ", "::ffff:1.2.3.4.5/1"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
  }
}

TEST(Prefix, OverlapsWhenOneContainsTheOther) {
  const auto wide = *Prefix::parse("10.0.0.0/8");
  const auto narrow = *Prefix::parse("10.8.0.0/16");
  const auto other = *Prefix::parse("11.0.0.0/8");
  EXPECT_TRUE(wide.overlaps(narrow));
  EXPECT_TRUE(narrow.overlaps(wide));
  EXPECT_FALSE(narrow.contains(wide));
  EXPECT_FALSE(other.overlaps(narrow));
  EXPECT_FALSE(Prefix::parse("::/0")->overlaps(wide));
}

TEST(Endpoint, RoundTripsThroughTextAndSockaddr) {
  for (const auto* text : {"192.0.2.1:4500", "[2001:db8::1]:65535"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  for (const auto* text :
       {"192.0.2.1", "2001:db8::1:4500", "[192.0.2.1:1", ":1", "1.2.3.4:65536"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace cw
