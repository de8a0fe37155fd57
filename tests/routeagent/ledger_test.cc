// Which prefixes stay closed, and the file that keeps them over a reboot.
#include "routeagent/closed/ledger.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "routeagent/closed/ledger_file.h"

namespace cw::routeagent {
namespace {

Prefix net(std::string_view text) { return *Prefix::parse(text); }
std::vector<Prefix> nets(std::initializer_list<const char*> texts) {
  std::vector<Prefix> all;
  for (const auto* text : texts) all.push_back(net(text));
  return all;
}
const std::vector<OwnPrefixes> kOwn{{"pods of this cluster", PrefixSet(nets({"10.1.0.0/16"}))},
                                    {"a node of this cluster", PrefixSet(nets({"192.0.2.1/32"}))}};

TEST(Ledger, HoldsWhatAPeerMayClaimUntilItIsUnpaired) {
  PeerPrefixes west{"west", false, nets({"10.2.0.0/16", "fd02::/32"}), nets({"10.2.3.0/24"})};
  auto ledger = learned({}, std::vector{west}, kOwn);
  EXPECT_EQ(closed_prefixes(ledger), nets({"10.2.0.0/16", "fd02::/32"}));

  west.claimed.clear();
  west.allowed = nets({"10.9.0.0/16"});
  ledger = learned(ledger, std::vector{west}, kOwn);
  EXPECT_EQ(closed_prefixes(ledger), nets({"10.2.0.0/16", "10.9.0.0/16", "fd02::/32"}))
      << "a prefix that it may no longer claim stays closed";

  ledger = learned(ledger, {}, kOwn);
  EXPECT_EQ(ledger.count("west"), 1U) << "the ClusterPeer is gone";

  west.unpaired = true;
  EXPECT_TRUE(learned(ledger, std::vector{west}, kOwn).empty());
}

TEST(Ledger, UnpairingOneClusterLeavesAnothersPrefixes) {
  PeerPrefixes west{"west", false, nets({"10.2.0.0/16"}), {}};
  const PeerPrefixes north{"north", false, nets({"10.2.8.0/24"}), {}};
  auto ledger = learned({}, std::vector{west, north}, kOwn);
  EXPECT_EQ(closed_prefixes(ledger), nets({"10.2.0.0/16"}));
  west.unpaired = true;
  ledger = learned(ledger, std::vector{west, north}, kOwn);
  EXPECT_EQ(closed_prefixes(ledger), nets({"10.2.8.0/24"}));
}

TEST(Ledger, AStatusClosesNothingThatTheAdministratorDidNotAllow) {
  const PeerPrefixes west{"west", false, nets({"10.2.0.0/16"}), nets({"8.8.8.8/32", "::/0"})};
  EXPECT_EQ(closed_prefixes(learned({}, std::vector{west}, kOwn)), nets({"10.2.0.0/16"}));
}

TEST(Ledger, ThisClustersOwnPrefixesAreLeftOutAndReported) {
  const PeerPrefixes west{"west", false, nets({"10.0.0.0/8", "192.0.2.0/24", "10.0.0.0/9"}),
                          nets({"10.2.3.0/24", "10.1.7.0/24"})};
  const auto ledger = learned({}, std::vector{west}, kOwn);
  EXPECT_EQ(closed_prefixes(ledger), nets({"10.2.3.0/24"})) << "a claim beside our own is closed";
  const auto said = left_open(ledger, kOwn);
  ASSERT_EQ(said.size(), 4U);
  EXPECT_NE(said[0].find("cluster west: 10.0.0.0/8 overlaps 10.1.0.0/16 (pods"), std::string::npos)
      << said[0];
  // A prefix that was left open is closed as soon as it is no longer this cluster's own.
  EXPECT_EQ(closed_prefixes(learned(ledger, std::vector{west}, {})),
            nets({"10.0.0.0/8", "192.0.2.0/24"}));
}

TEST(Ledger, NoPeerHasWhatAHostNeedsToWork) {
  for (const auto* text : {"::/0", "fe80::/64", "127.0.0.0/8", "169.254.169.254/32", "224.0.0.0/4",
                           "240.0.0.0/4", "ff02::/16", "128.0.0.0/1", "0.0.0.0/0"}) {
    const PeerPrefixes west{"west", false, {net(text)}, {net(text)}};
    EXPECT_TRUE(closed_prefixes(learned({}, std::vector{west}, {})).empty()) << text;
  }
}

// The 16,385th prefix is left open, and must not be left open silently.
TEST(Ledger, PrefixesBeyondTheLimitAreReported) {
  PeerPrefixes west{"west", false, {}, {}};
  for (unsigned n = 0; n < kMostPrefixes + 3; ++n) {
    west.allowed.push_back(*Prefix::of(
        IpAddress::v4({11, static_cast<std::uint8_t>(n >> 15U), static_cast<std::uint8_t>(n >> 7U),
                       static_cast<std::uint8_t>(n << 1U)}),
        32));
  }
  const auto full = std::vector<Prefix>(west.allowed.begin(), west.allowed.end() - 3);
  const auto last = west.allowed.back();
  auto ledger = learned({}, std::vector{west}, kOwn);
  EXPECT_EQ(ledger.at("west").beyond, 3U);
  const auto said = left_open(ledger, kOwn);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_EQ(said[0],
            "cluster west: 3 prefixes beyond the first 16384 are not held back: their traffic may "
            "leave in the clear; allow fewer and wider prefixes in the ClusterPeer");
  EXPECT_EQ(*parse_ledger(ledger_text(ledger)), ledger) << "the file keeps it over a restart";
  EXPECT_EQ(learned(ledger, std::vector{west}, kOwn), ledger);
  EXPECT_EQ(learned(ledger, {}, kOwn), ledger) << "the ClusterPeer is gone";

  west.allowed = full;
  ledger = learned(ledger, std::vector{west}, kOwn);
  EXPECT_TRUE(left_open(ledger, kOwn).empty());
  west.claimed = {full.front()};  // a claim inside a closed prefix is no prefix more
  EXPECT_TRUE(left_open(learned(ledger, std::vector{west}, kOwn), kOwn).empty());
  EXPECT_EQ(ledger.at("west").closed.count(last), 0U);
}

TEST(Ledger, HalvesBecomeOnePrefix) {
  const PeerPrefixes west{"west",
                          false,
                          nets({"10.2.0.0/24", "10.2.1.0/24", "10.2.2.0/24", "10.2.3.0/24",
                                "10.2.5.0/24", "10.2.6.0/24", "fd02::/64", "fd02:0:0:1::/64"}),
                          {}};
  EXPECT_EQ(closed_prefixes(learned({}, std::vector{west}, kOwn)),
            nets({"10.2.0.0/22", "10.2.5.0/24", "10.2.6.0/24", "fd02::/63"}));
}

TEST(LedgerText, ReadsBackWhatItWrites) {
  const PeerPrefixes west{"west", false, nets({"10.2.0.0/16", "10.1.2.0/24", "fd02::/32"}), {}};
  const auto ledger = learned({}, std::vector{west}, kOwn);
  const auto read = parse_ledger(ledger_text(ledger));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(*read, ledger);
  EXPECT_EQ(*parse_ledger(ledger_text({})), Ledger{});
}

TEST(LedgerText, AFileNeverClosesWhatAHostNeeds) {
  const auto read = parse_ledger(
      R"({"version":1,"clusters":{"w":{"closed":["fe80::/10","8000::/1","10.2.0.0/16"]}}})");
  ASSERT_TRUE(read);
  EXPECT_EQ(closed_prefixes(*read), nets({"10.2.0.0/16"}));
}

TEST(LedgerText, RefusesEverythingElse) {
  for (const auto* text : {"", "[]", "{}", R"({"version":2,"clusters":{}})", R"({"version":1})",
                           R"({"version":1,"clusters":[]})", R"({"version":1,"clusters":{"w":[]}})",
                           R"({"version":1,"clusters":{"w":{"closed":"10.0.0.0/8"}}})",
                           R"({"version":1,"clusters":{"w":{"closed":[1]}}})",
                           R"({"version":1,"clusters":{"w":{"closed":["10.0.0.1/8"]}}})",
                           R"({"version":1,"clusters":{"":{"closed":[]}}})",
                           R"({"version":1,"clusters":{"w":{"closed":[],"beyond":-1}}})"}) {
    EXPECT_FALSE(parse_ledger(text)) << text;
  }
  EXPECT_EQ(parse_ledger(std::string(kMostLedgerBytes + 1, ' ')).error().code, Errc::kTooLarge);
}

class LedgerOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "cw-ledger-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    folder_ = name + "/state";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string root_;
  std::string folder_;
};

TEST_F(LedgerOnDisk, IsWrittenReadAndRemoved) {
  EXPECT_EQ(*read_ledger(folder_), Ledger{}) << "no file is an empty ledger";
  Ledger ledger{{"west", {{net("10.2.0.0/16")}, {}}}};
  ASSERT_TRUE(write_ledger(folder_, ledger_text(ledger)));
  EXPECT_EQ(*read_ledger(folder_), ledger);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1)
      << "no temporary file is left";
  ASSERT_TRUE(remove_ledger(folder_));
  ASSERT_TRUE(remove_ledger(folder_));
  EXPECT_EQ(*read_ledger(folder_), Ledger{});
}

TEST_F(LedgerOnDisk, AFileThatCannotBeReadIsSaid) {
  ASSERT_TRUE(write_ledger(folder_, "garbage"));
  const auto read = read_ledger(folder_);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().text.find(ledger_path(folder_)), std::string::npos);
  std::filesystem::remove(ledger_path(folder_));
  std::filesystem::create_directory(ledger_path(folder_));
  EXPECT_FALSE(read_ledger(folder_));
  EXPECT_FALSE(write_ledger(folder_, "x"));
}

}  // namespace
}  // namespace cw::routeagent
