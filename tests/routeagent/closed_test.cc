// The guard of remote prefixes: its two layers in the kernel, and when they are made and removed.
#include "routeagent/closed/closed.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "tests/routeagent/node_kernel.h"

namespace cw::routeagent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Prefix net(std::string_view text) { return *Prefix::parse(text); }
const std::vector<OwnPrefixes> kOwn{
    {"pods of this cluster", PrefixSet(std::vector<Prefix>{net("10.1.0.0/16")})}};

PeerPrefixes peer(const std::string& id, const char* allowed, bool unpaired = false) {
  return {id, unpaired, {net(allowed)}, {}};
}
netlink::Rule rule(const char* to) {
  return {net(to).family(), netlink::kClosedPriority, 0, {}, net(to), true};
}

class ClosedStory : public ::testing::Test {
 protected:
  void start() {
    file_ = {};
    closed_ = std::make_unique<Closed>(loop_, random_, kernel_, no_background(), metrics_,
                                       LedgerFile{remembered_,
                                                  [this](std::string text, LedgerFile::Done done) {
                                                    file_ = std::move(text);
                                                    done_ = std::move(done);
                                                  }},
                                       [this] { ++changes_; });
  }
  void written(const Result<>& done) { std::exchange(done_, nullptr)(done); }
  void learn(const std::vector<PeerPrefixes>& peers) { closed_->learn(peers, kOwn); }
  [[nodiscard]] bool stands(const char* to) const {
    const auto table = kernel_.nft.find("causeway-closed");
    return kernel_.rules.count(rule(to)) != 0 && table != kernel_.nft.end() &&
           table->second.find(to) != std::string::npos;
  }
  using Ids = std::vector<std::string>;

  SimLoop loop_;
  SeededRandom random_{7};
  NodeKernel kernel_;
  Metrics metrics_;
  Result<Ledger> remembered_;
  std::string file_;
  LedgerFile::Done done_;
  int changes_ = 0;
  std::unique_ptr<Closed> closed_;
};

TEST_F(ClosedStory, ClosesWhatTheFileSaysBeforeTheStoreAnswers) {
  remembered_ = Ledger{{"west", {{net("10.2.0.0/16"), net("fd02::/32")}, {net("10.1.0.0/16")}}}};
  start();
  EXPECT_TRUE(stands("10.2.0.0/16"));
  EXPECT_TRUE(stands("fd02::/32"));
  EXPECT_FALSE(stands("10.1.0.0/16")) << "it was this cluster's own";
  EXPECT_EQ(closed_->clusters(), Ids{"west"});
  learn({});
  closed_->let_go();
  EXPECT_TRUE(stands("10.2.0.0/16")) << "no ClusterPeer names it, and no administrator unpaired it";
}

TEST_F(ClosedStory, ClosesAPairedClusterAtOnceAndRemembersIt) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  EXPECT_TRUE(stands("10.2.0.0/16"));
  EXPECT_EQ(parse_ledger(file_)->count("west"), 1U);
  written({});
  const auto steps = kernel_.changes;
  learn({peer("west", "10.2.0.0/16")});
  closed_->let_go();
  EXPECT_EQ(kernel_.changes, steps) << "nothing new";
}

TEST_F(ClosedStory, OpensAnUnpairedClusterWhenItsRoutesAreGone) {
  start();
  learn({peer("west", "10.2.0.0/16"), peer("north", "10.9.0.0/16")});
  written({});
  learn({peer("west", "10.2.0.0/16", true), peer("north", "10.9.0.0/16")});
  EXPECT_TRUE(stands("10.2.0.0/16")) << "its routes may still be there";
  EXPECT_EQ(closed_->clusters(), (Ids{"north", "west"}));
  closed_->let_go();
  EXPECT_FALSE(stands("10.2.0.0/16"));
  EXPECT_TRUE(stands("10.9.0.0/16"));
  EXPECT_EQ(closed_->clusters(), (Ids{"north", "west"})) << "the file still has it";
  EXPECT_EQ(parse_ledger(file_)->count("west"), 0U);
  written({});
  EXPECT_EQ(closed_->clusters(), Ids{"north"});
  learn({peer("north", "10.9.0.0/16", true)});
  closed_->let_go();
  EXPECT_TRUE(kernel_.rules.empty());
  EXPECT_TRUE(kernel_.nft.empty());
}

TEST_F(ClosedStory, ChangesWhileAWriteIsUnderWayAreWrittenAfterIt) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  const auto first = file_;
  learn({peer("west", "10.2.0.0/16"), peer("north", "10.9.0.0/16")});
  EXPECT_EQ(file_, first);
  written({});
  EXPECT_EQ(parse_ledger(file_)->count("north"), 1U);
}

TEST_F(ClosedStory, AFileThatCannotBeWrittenIsSaidAndTriedAgain) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  file_.clear();
  written(fail(Errc::kInternal, "No space left on device"));
  ASSERT_EQ(closed_->troubles().size(), 1U);
  EXPECT_NE(closed_->troubles()[0].find("No space left"), std::string::npos);
  EXPECT_TRUE(stands("10.2.0.0/16"));
  loop_.advance(seconds(5));
  EXPECT_FALSE(file_.empty());
  written({});
  EXPECT_TRUE(closed_->troubles().empty());
}

TEST_F(ClosedStory, AFileThatCannotBeReadOpensNothing) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  closed_.reset();
  remembered_ = fail(Errc::kInvalid, "closed.json: not a JSON object");
  start();
  closed_->check_soon();
  loop_.advance(seconds(1));
  EXPECT_TRUE(stands("10.2.0.0/16")) << "the store has not been read";
  EXPECT_EQ(closed_->troubles().size(), 1U);
  learn({peer("west", "10.2.0.0/16")});
  written({});
  EXPECT_TRUE(stands("10.2.0.0/16"));
  EXPECT_TRUE(closed_->troubles().empty());
}

TEST_F(ClosedStory, RepairsEitherLayerWithinASecond) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  const std::vector<std::function<void()>> harm = {
      [this] { kernel_.rules.clear(); },
      [this] { kernel_.nft.clear(); },
      [this] { kernel_.nft["causeway-closed"] += "another rule"; },
      [this] { kernel_.rules.insert(rule("10.77.0.0/16")); },
  };
  for (const auto& hurt : harm) {
    const auto rules = kernel_.rules;
    const auto nft = kernel_.nft;
    hurt();
    closed_->check_soon();
    loop_.advance(milliseconds(300));
    EXPECT_EQ(kernel_.rules, rules);
    EXPECT_EQ(kernel_.nft, nft);
  }
}

TEST_F(ClosedStory, AStepThatFailsIsSaidAndTriedAgain) {
  for (int step = 0; step < 6; ++step) {  // five rules, the table
    kernel_ = {};
    kernel_.fail_at = step;
    start();
    learn({peer("west", "10.2.0.0/16")});
    EXPECT_EQ(closed_->troubles().size(), 1U) << step;
    loop_.advance(seconds(2));
    EXPECT_TRUE(stands("10.2.0.0/16")) << step;
    EXPECT_TRUE(closed_->troubles().empty()) << step;
  }
}

// A remote gateway may stand inside a closed prefix.
TEST_F(ClosedStory, TheTunnelsOwnPacketsPass) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  for (const auto& rule : netlink::bypass_rules({})) EXPECT_EQ(kernel_.rules.count(rule), 1U);
  const auto& table = kernel_.nft.at("causeway-closed");
  const auto first = table.find("meta mark 0x1057 accept");
  ASSERT_NE(first, std::string::npos);
  EXPECT_LT(first, table.find("daddr @remote4")) << "on the way out";
  EXPECT_NE(table.find("meta mark 0x1057 accept", first + 1), std::string::npos) << "and back";
  // The node's routes need the same rules.
  kernel_.rules.insert({Family::kV4, netlink::kToRemotePriority, netlink::kToRemoteTable, {}});
  learn({peer("west", "10.2.0.0/16", true)});
  closed_->let_go();
  for (const auto& rule : netlink::bypass_rules({})) EXPECT_EQ(kernel_.rules.count(rule), 1U);
}

TEST_F(ClosedStory, ItsRulesFollowThoseThatCarryTraffic) {
  const netlink::Rule old{Family::kV4, 7487, netlink::kToRemoteTable, {}};
  kernel_.rules.insert(old);  // of the version before
  remembered_ = Ledger{{"west", {{net("10.2.0.0/16")}, {}}}};
  start();
  auto behind = rule("10.2.0.0/16");
  behind.priority = 7488;
  EXPECT_EQ(kernel_.rules.count(behind), 1U) << "at 93 it would stop the traffic";
  EXPECT_FALSE(stands("10.2.0.0/16"));
  kernel_.rules.erase(old);  // the agent has moved its rule
  closed_->check_soon();
  loop_.advance(seconds(1));
  EXPECT_TRUE(stands("10.2.0.0/16"));
  EXPECT_EQ(kernel_.rules.count(behind), 0U);
}

TEST_F(ClosedStory, TellsWhatAnotherProgramTookAway) {
  start();
  learn({peer("west", "10.2.0.0/16")});
  EXPECT_TRUE(closed_->take_restored().empty());
  kernel_.rules.clear();
  kernel_.nft.clear();
  changes_ = 0;
  closed_->check_soon();
  loop_.advance(seconds(1));
  EXPECT_TRUE(stands("10.2.0.0/16"));
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(closed_->take_restored(),
            (std::map<std::string, std::size_t>{{"nft table", 1}, {"rule", 5}}));
  EXPECT_TRUE(closed_->take_restored().empty());
}

TEST_F(ClosedStory, OtherRulesAreNotItsBusiness) {
  const netlink::Rule ours{Family::kV4, netlink::kToRemotePriority, netlink::kToRemoteTable, {}};
  kernel_.rules.insert(ours);
  start();
  learn({peer("west", "10.2.0.0/16")});
  learn({peer("west", "10.2.0.0/16", true)});
  closed_->let_go();
  for (const auto& left : kernel_.rules) EXPECT_TRUE(left == ours || netlink::is_bypass(left));
  EXPECT_EQ(kernel_.rules.count(ours), 1U);
}

}  // namespace
}  // namespace cw::routeagent
