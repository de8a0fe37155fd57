#include "base/contact.h"

#include <gtest/gtest.h>

namespace cw {
namespace {

TEST(Contact, IsAnAddressOrANameWithAPort) {
  const auto v4 = Contact::parse("192.0.2.1:4500");
  ASSERT_TRUE(v4);
  ASSERT_NE(v4->endpoint(), nullptr);
  EXPECT_EQ(*v4->endpoint(), *Endpoint::parse("192.0.2.1:4500"));
  EXPECT_TRUE(v4->name().empty());
  const auto v6 = Contact::parse("[2001:db8::1]:4500");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->to_string(), "[2001:db8::1]:4500");
  const auto name = Contact::parse("Gw0.Example.com:51820");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->endpoint(), nullptr);
  EXPECT_EQ(name->name(), "gw0.example.com");
  EXPECT_EQ(name->port(), 51820);
  EXPECT_EQ(name->to_string(), "gw0.example.com:51820");
  EXPECT_EQ(Contact::parse(name->to_string()), *name);
}

TEST(Contact, AMistypedAddressIsNoName) {
  for (const auto* text : {"",
                           ":",
                           ":4500",
                           "nowhere",
                           "nowhere:4500",
                           "192.0.2.300:4500",
                           "192.0.2.1",
                           "192.0.2:4500",
                           "gw.example.com",
                           "gw.example.com:0",
                           "gw.example.com:65536",
                           "gw.example.com:4500x",
                           "gw..example.com:1",
                           ".example.com:1",
                           "gw.example.com.:1",
                           "-gw.example.com:1",
                           "gw_0.example.com:1",
                           "gw.example.com:+1",
                           "2001:db8::1:4500",
                           "192.0.2.1:0",
                           "gw 0.example.com:1",
                           "gw.example.com: 1",
                           "http://gw.example.com:1"}) {
    EXPECT_FALSE(Contact::parse(text)) << text;
  }
  EXPECT_EQ(Contact::parse("nowhere:1").error().text,
            "\"nowhere:1\" is not an endpoint; write 192.0.2.1:4500, [2001:db8::1]:4500 or "
            "gw0.example.com:4500");
}

TEST(Contact, NamesHaveTheLimitsOfDns) {
  const std::string label(63, 'a');
  const auto longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  ASSERT_EQ(longest.size(), kMaxDnsName);
  EXPECT_TRUE(Contact::parse(longest + ":65535"));
  EXPECT_EQ((longest + ":65535").size(), kMaxContact);
  EXPECT_FALSE(Contact::parse(longest + "b:1"));
  EXPECT_FALSE(Contact::parse(label + "a.example.com:1"));
}

TEST(Contact, AreOrderedAndEqualByAllOfTheirParts) {
  const auto of = [](const char* text) { return *Contact::parse(text); };
  EXPECT_EQ(of("192.0.2.1:1"), of("192.0.2.1:1"));
  EXPECT_NE(of("192.0.2.1:1"), of("192.0.2.1:2"));
  EXPECT_NE(of("a.example.com:1"), of("b.example.com:1"));
  EXPECT_NE(of("a.example.com:1"), of("a.example.com:2"));
}

}  // namespace
}  // namespace cw
