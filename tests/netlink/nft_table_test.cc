// An nft table as a value, its text, and its keeper.
#include "netlink/nft_table.h"

#include <gtest/gtest.h>

#include "netlink/fake/fake_kernel.h"
#include "netlink/nft_keeper.h"

namespace cw::netlink {
namespace {

Prefix net(std::string_view text) { return *Prefix::parse(text); }

TEST(NftTable, IsOneTransactionThatReplacesTheTable) {
  NftTable table{"t", {"seen"}};
  add_prefix_sets(table, "own", std::vector<Prefix>{net("10.1.0.0/16")});
  table.chains = {{"in", "filter hook input priority filter", {"ip saddr @own4 jump more"}},
                  {"more", "", {"counter name \"seen\" drop"}}};
  EXPECT_EQ(nft_text(table),
            "table inet t {}\n"
            "delete table inet t\n"
            "table inet t {\n"
            "\tcounter seen {\n\t}\n"
            "\tset own4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
            "\t\telements = { 10.1.0.0/16 }\n\t}\n"
            "\tset own6 {\n\t\ttype ipv6_addr\n\t\tflags interval\n\t}\n"
            "\tchain in {\n\t\ttype filter hook input priority filter; policy accept;\n"
            "\t\tip saddr @own4 jump more\n\t}\n"
            "\tchain more {\n\t\tcounter name \"seen\" drop\n\t}\n"
            "}\n");
}

TEST(NftTable, TheIntervalsOfASetDoNotOverlap) {
  const std::vector<Prefix> prefixes{net("10.2.0.0/16"), net("10.1.7.0/24"), net("10.1.0.0/16"),
                                     net("fd00::/8"), net("10.1.0.0/16")};
  EXPECT_EQ(prefix_set("any", Family::kV4, prefixes).elements, "10.1.0.0/16, 10.2.0.0/16");
}

TEST(NftTable, AChangeNamesTheElementsThatComeAndGo) {
  NftTable before{"t"};
  add_prefix_sets(before, "own", std::vector<Prefix>{net("10.1.0.0/24"), net("10.1.1.0/24")});
  before.chains = {{"in", "filter hook input priority filter", {"ip saddr @own4 drop"}}};
  NftTable after{"t"};
  add_prefix_sets(after, "own",
                  std::vector<Prefix>{net("10.1.1.0/25"), net("10.1.0.0/24"), net("fd01::/64"),
                                      net("10.1.10.0/24")});
  after.chains = before.chains;
  EXPECT_EQ(nft_change(before, after),
            "table inet t {}\n"
            "delete element inet t own4 { 10.1.1.0/24 }\n"
            "add element inet t own4 { 10.1.1.0/25, 10.1.10.0/24 }\n"
            "add element inet t own6 { fd01::/64 }\n");
  after.chains[0].rules.emplace_back("drop");
  EXPECT_EQ(nft_change(before, after), std::nullopt);
  after.chains = before.chains;
  after.sets.pop_back();
  EXPECT_EQ(nft_change(before, after), std::nullopt);
}

TEST(NftKeeper, ChangesElementsOfATableThatStandsAsItWasWritten) {
  using Outcome = NftKeeper::Outcome;
  FakeKernel kernel;
  NftKeeper keeper;
  PassReport report;
  const auto table = [](std::vector<Prefix> prefixes) {
    NftTable made{"t"};
    add_prefix_sets(made, "own", prefixes);
    return made;
  };
  EXPECT_EQ(keeper.keep(kernel, table({net("10.1.0.0/24")}), report), Outcome::kApplied);
  EXPECT_EQ(keeper.keep(kernel, table({net("10.1.1.0/24")}), report), Outcome::kApplied);
  EXPECT_EQ(kernel.nft["t"], "listing of\n" + nft_text(table({net("10.1.1.0/24")})));
  const std::vector<Prefix> many{net("10.1.1.0/24"), net("10.1.10.0/24"), net("10.1.2.0/24"),
                                 net("fd01::/64")};
  EXPECT_EQ(keeper.keep(kernel, table(many), report), Outcome::kApplied);
  EXPECT_EQ(kernel.nft["t"], "listing of\n" + nft_text(table(many)));
  EXPECT_EQ(keeper.keep(kernel, table({}), report), Outcome::kApplied);
  EXPECT_EQ(kernel.nft["t"], "listing of\n" + nft_text(table({})));
  EXPECT_EQ(keeper.keep(kernel, table({net("10.1.1.0/24")}), report), Outcome::kApplied);
  EXPECT_EQ(keeper.keep(kernel, table({net("10.1.1.0/24")}), report), Outcome::kSame);
  kernel.nft["t"] += "a rule of another program";
  EXPECT_EQ(keeper.keep(kernel, table({net("10.1.2.0/24")}), report), Outcome::kApplied);
  EXPECT_EQ(kernel.nft["t"].find("another program"), std::string::npos) << "it is replaced";
  EXPECT_TRUE(report.errors.empty());
}

TEST(NftKeeper, WritesWhatDiffersFromItsOwnListing) {
  using Outcome = NftKeeper::Outcome;
  FakeKernel kernel;
  NftKeeper keeper;
  PassReport report;
  NftTable table{"t", {"seen"}};
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kApplied);
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kSame);
  kernel.nft["t"] += "a rule of another program";
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kApplied);
  EXPECT_EQ(NftKeeper().keep(kernel, table, report), Outcome::kApplied) << "another program's?";
  EXPECT_TRUE(report.errors.empty());
  kernel.refused_nft = "t";
  table.counters = {"other"};
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kFailed);
  kernel.nft.clear();
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kMissing);
  kernel.nft_unreadable = true;
  EXPECT_EQ(keeper.keep(kernel, table, report), Outcome::kUnread);
  EXPECT_EQ(report.errors.size(), 3U);
}

}  // namespace
}  // namespace cw::netlink
