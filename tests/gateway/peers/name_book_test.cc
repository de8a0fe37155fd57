#include "gateway/peers/name_book.h"

#include <gtest/gtest.h>

#include "tests/gateway/scene.h"

namespace cw::gateway {
namespace {

using std::chrono::seconds;

const TimePoint kLookupTime{std::chrono::hours(1)};
const NameOf kWestName{"west", "gw0.example.com"};

std::vector<IpAddress> ips(std::initializer_list<const char*> texts) {
  std::vector<IpAddress> all;
  all.reserve(texts.size());
  for (const auto* text : texts) all.push_back(ip(text));
  return all;
}
Error no_address() { return {Errc::kNotFound, "has no address"}; }

TEST(NameBook, LooksANewNameUpAtOnce) {
  NameBook book;
  EXPECT_FALSE(book.due(kLookupTime));
  book.set_wanted({{kWestName, true}});
  EXPECT_EQ(book.due(kLookupTime), kWestName);
  EXPECT_TRUE(book.record(kWestName, ips({"192.0.2.1"}), kLookupTime));
  EXPECT_EQ(book.addresses(kWestName), ips({"192.0.2.1"}));
  EXPECT_FALSE(book.due(kLookupTime));
}

TEST(NameBook, LooksUpAgainWhileTheGatewayDoesNotWorkLessAndLessOften) {
  NameBook book;
  book.set_wanted({{kWestName, true}});
  auto now = kLookupTime;
  for (const int pause : {5, 10, 20, 40, 60, 60}) {
    book.record(kWestName, ips({"192.0.2.1"}), now);
    EXPECT_FALSE(book.due(now + seconds(pause) - Duration(1))) << pause;
    now += seconds(pause);
    EXPECT_TRUE(book.due(now)) << pause;
  }
}

TEST(NameBook, ANameOfAGatewayThatWorksWaitsUntilItFails) {
  NameBook book;
  book.set_wanted({{kWestName, false}});
  book.record(kWestName, ips({"192.0.2.1"}), kLookupTime);
  EXPECT_FALSE(book.due(kLookupTime + seconds(299)));
  EXPECT_TRUE(book.due(kLookupTime + seconds(300)));
  book.set_wanted({{kWestName, true}});
  EXPECT_TRUE(book.due(kLookupTime + seconds(1))) << "its name may lead elsewhere now";
}

TEST(NameBook, AFailedLookupLeavesTheAddressesAndSaysWhy) {
  NameBook book;
  book.set_wanted({{kWestName, true}});
  book.record(kWestName, ips({"192.0.2.1"}), kLookupTime);
  EXPECT_EQ(book.trouble(kWestName), "");
  EXPECT_TRUE(book.record(kWestName, fail(no_address()), kLookupTime));
  EXPECT_FALSE(book.record(kWestName, fail(no_address()), kLookupTime)) << "no news";
  EXPECT_EQ(book.trouble(kWestName), "has no address");
  EXPECT_EQ(book.addresses(kWestName), ips({"192.0.2.1"}));
  EXPECT_TRUE(book.record(kWestName, ips({"192.0.2.2"}), kLookupTime));
  EXPECT_EQ(book.trouble(kWestName), "");
  EXPECT_EQ(book.addresses(kWestName), ips({"192.0.2.2"}));
}

TEST(NameBook, TheSameAddressesInAnotherOrderAreNoNews) {
  NameBook book;
  book.set_wanted({{kWestName, true}});
  book.record(kWestName, ips({"192.0.2.1", "192.0.2.2"}), kLookupTime);
  EXPECT_FALSE(book.record(kWestName, ips({"192.0.2.2", "192.0.2.1"}), kLookupTime));
  EXPECT_EQ(book.addresses(kWestName), ips({"192.0.2.1", "192.0.2.2"}));
}

// A cluster with many slow names must not delay the names of another cluster.
TEST(NameBook, ClustersTakeTurns) {
  NameBook book;
  std::map<NameOf, bool> wanted{{kWestName, true}};
  for (int n = 0; n < 20; ++n) wanted[{"east", fmt::format("n{}.example.com", n)}] = true;
  book.set_wanted(wanted);
  std::vector<std::string> order;
  for (int n = 0; n < 4; ++n) {
    const auto next = book.due(kLookupTime);
    ASSERT_TRUE(next);
    order.push_back(next->cluster);
    book.record(*next, fail(no_address()), kLookupTime + seconds(n));
  }
  EXPECT_EQ(order, (std::vector<std::string>{"east", "west", "east", "east"}));
}

TEST(NameBook, ForgetsNamesThatAreNotWanted) {
  NameBook book;
  book.set_wanted({{kWestName, true}});
  book.record(kWestName, ips({"192.0.2.1"}), kLookupTime);
  book.set_wanted({});
  EXPECT_TRUE(book.addresses(kWestName).empty());
  EXPECT_FALSE(book.record(kWestName, ips({"192.0.2.1"}), kLookupTime)) << "a late answer";
}

TEST(NameBook, FamiliesTakeTurnsAndTheNumberIsBounded) {
  EXPECT_EQ(alternating(ips({"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.1"})),
            ips({"2001:db8::1", "192.0.2.1", "2001:db8::2"}));
  EXPECT_TRUE(alternating({}).empty());
  std::vector<IpAddress> many;
  for (int n = 1; n <= 40; ++n) many.push_back(ip(fmt::format("192.0.2.{}", n)));
  many.push_back(ip("2001:db8::1"));
  const auto kept = alternating(many);
  EXPECT_EQ(kept.size(), kMaxNameAddresses);
  EXPECT_EQ(kept.at(1), ip("2001:db8::1")) << "the other family is not crowded out";
}

}  // namespace
}  // namespace cw::gateway
