#include "cli/corefile.h"

#include <gtest/gtest.h>

namespace cw::cli {
namespace {

constexpr const char* kUsual =
    ".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . "
    "/etc/resolv.conf\n}\n";

std::vector<IpAddress> servers() { return {*IpAddress::parse("10.96.0.53")}; }

TEST(Corefile, TheStubStandsAtTheEndAndComesOffAgain) {
  const auto with = with_stub(kUsual, servers());
  ASSERT_TRUE(with) << with.error().text;
  EXPECT_EQ(with->rfind(kUsual, 0), 0U);
  EXPECT_NE(with->find("clusterset.local:53 {\n    errors\n    cache 5 {\n        denial 9984 1\n  "
                       "  }\n    forward . 10.96.0.53\n}"),
            std::string::npos);
  EXPECT_EQ(without_stub(*with), kUsual);
  EXPECT_EQ(*with_stub(*with, servers()), *with);
}

TEST(Corefile, ANewAddressReplacesTheOldStub) {
  const auto first = *with_stub(kUsual, servers());
  const auto next =
      *with_stub(first, {*IpAddress::parse("fd00::53"), *IpAddress::parse("10.0.0.1")});
  EXPECT_NE(next.find("forward . fd00::53 10.0.0.1\n"), std::string::npos);
  EXPECT_EQ(next.find("10.96.0.53"), std::string::npos);
  EXPECT_EQ(without_stub(next), kUsual);
}

TEST(Corefile, WhatOthersAddedAfterwardsStays) {
  const auto later = *with_stub(kUsual, servers()) + "example.org {\n    forward . 192.0.2.1\n}\n";
  EXPECT_EQ(without_stub(later),
            std::string(kUsual) + "example.org {\n    forward . 192.0.2.1\n}\n");
}

TEST(Corefile, AForeignBlockIsLeftAlone) {
  for (const auto* block : {"clusterset.local {\n}\n", "clusterset.local:53 {\n}\n",
                            "example.org clusterset.local:53 {\n}\n"}) {
    EXPECT_EQ(with_stub(std::string(kUsual) + block, servers()).error().code, Errc::kExists)
        << block;
  }
  EXPECT_TRUE(with_stub(std::string(kUsual) + "# clusterset.local {\n", servers()));
}

TEST(Corefile, HalfAStubIsNotGuessedAt) {
  const auto with = *with_stub(kUsual, servers());
  const auto half = with.substr(0, with.find("# causeway: end"));
  EXPECT_EQ(without_stub(half), half);
}

}  // namespace
}  // namespace cw::cli
