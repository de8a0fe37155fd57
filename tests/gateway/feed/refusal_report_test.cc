// What a cluster tells another one about refused statements: the report, its wire form, who gets
// it, how fast it takes effect, and what people read on the refused side.
#include "gateway/feed/refusal_report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"
#include "feed.pb.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/refusal_board.h"
#include "gateway/feed/refusal_inbox.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Refusal refused_prefix(RefusalReason reason, std::string_view prefix) {
  return {reason, "a sentence for people here", *Prefix::parse(prefix)};
}

RefusalReport small_report() {
  return report_of(
      std::vector<Refusal>{refused_prefix(RefusalReason::kOutsideAllowed, "10.81.0.0/24"),
                           {RefusalReason::kUnknownGateway, "x", std::uint32_t{1}},
                           {RefusalReason::kOutsideAllowed, "y", api::ObjectKey{"shop", "web"}}});
}

RefusalReport read_back(const RefusalReport& report) {
  const auto parsed = parse_event(encode_statement(report), "west");
  EXPECT_TRUE(parsed) << parsed.error().text;
  return parsed ? std::get<RefusalReport>(parsed->statement) : RefusalReport{};
}

TEST(RefusalReport, HasOneGroupPerReasonAndNoSentences) {
  const auto report = small_report();
  ASSERT_EQ(report.groups.size(), 2U);
  EXPECT_EQ(report.groups[0].reason, RefusalReason::kOutsideAllowed);
  EXPECT_EQ(report.groups[0].count, 2U);
  EXPECT_EQ(report.groups[0].prefixes, (std::vector<Prefix>{*Prefix::parse("10.81.0.0/24")}));
  EXPECT_EQ(report.groups[0].exports, (std::vector<api::ObjectKey>{{"shop", "web"}}));
  EXPECT_EQ(report.groups[1].gateways, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(encode_statement(report).find("sentence"), std::string::npos);
  EXPECT_TRUE(report_of({}).groups.empty());
}

TEST(RefusalReport, StaysSmallHoweverMuchIsRefused) {
  std::vector<Refusal> refusals;
  for (int n = 0; n < 5000; ++n) {
    refusals.push_back(refused_prefix(RefusalReason::kOutsideAllowed,
                                      fmt::format("10.{}.{}.0/24", n / 256, n % 256)));
  }
  const auto report = report_of(refusals);
  EXPECT_EQ(report.groups[0].prefixes.size(), kMaxRefusedSubjects);
  EXPECT_EQ(report.groups[0].count, 5000U);
  EXPECT_LT(encode_statement(report).size(), 512U);
  EXPECT_EQ(read_back(report), report);
  EXPECT_NE(accepted_by_peer(report, "west").message.find("10.0.7.0/24, 4992 more ("),
            std::string::npos)
      << accepted_by_peer(report, "west").message;
}

TEST(RefusalReport, SurvivesTheWireWithEveryReason) {
  std::vector<Refusal> refusals;
  for (auto reason = RefusalReason::kOutsideAllowed; reason <= RefusalReason::kOther;
       reason = static_cast<RefusalReason>(static_cast<int>(reason) + 1)) {
    refusals.push_back({reason, "x"});
  }
  EXPECT_EQ(read_back(report_of(refusals)), report_of(refusals));
  EXPECT_EQ(read_back(small_report()), small_report());
  EXPECT_EQ(read_back({}), RefusalReport{});
}

TEST(RefusalReport, AReasonOfANewerVersionIsAnotherReason) {
  causeway::feed::v1::Event event;
  event.mutable_refusals()->add_groups()->set_reason(77);
  const auto parsed = parse_event(event.SerializeAsString(), "west");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(std::get<RefusalReport>(parsed->statement).groups.at(0).reason, RefusalReason::kOther);
}

TEST(RefusalReport, AReportOverItsLimitsOrWithNoPrefixIsDropped) {
  namespace pb = causeway::feed::v1;
  const auto refused = [](const auto& spoil) {
    pb::Event event;
    spoil(*event.mutable_refusals());
    return !parse_event(event.SerializeAsString(), "west");
  };
  EXPECT_TRUE(refused([](pb::RefusalReport& report) {
    for (std::size_t n = 0; n <= kMaxRefusedGroups; ++n) (void)report.add_groups();
  }));
  EXPECT_TRUE(refused([](pb::RefusalReport& report) {
    auto& group = *report.add_groups();
    for (std::size_t n = 0; n <= kMaxRefusedSubjects; ++n) group.add_gateways(1);
  }));
  EXPECT_TRUE(refused([](pb::RefusalReport& report) {
    auto& prefix = *report.add_groups()->add_prefixes();
    prefix.set_address("abcd");
    prefix.set_length(33);
  }));
  EXPECT_TRUE(refused([](pb::RefusalReport& report) {
    auto& key = *report.add_groups()->add_exports();
    key.set_namespace_("shop");
    key.set_name("a sentence, run `rm`");
  }));
}

TEST(AcceptedByPeer, NamesWhatIsRefusedAndTheRemedy) {
  const auto condition = accepted_by_peer(small_report(), "west");
  EXPECT_EQ(condition.type, "AcceptedByPeer");
  EXPECT_EQ(condition.status, api::ConditionStatus::kFalse);
  EXPECT_EQ(condition.reason, "OutsideAllowed");
  EXPECT_EQ(
      condition.message,
      "cluster west refuses 10.81.0.0/24, export shop/web (not within the allowedCidrs of its "
      "ClusterPeer); gateway 1 (its ClusterPeer does not list this gateway with this key). Run "
      "`causewayctl pair --refresh` for both clusters, or give it a new file of `causewayctl "
      "pair export`");
}

TEST(AcceptedByPeer, SuggestsARefreshOnlyWhereItHelps) {
  const std::vector<Refusal> overlap{
      refused_prefix(RefusalReason::kOverlapsCluster, "10.81.0.0/24")};
  const auto condition = accepted_by_peer(report_of(overlap), "west");
  EXPECT_EQ(condition.reason, "OverlapsCluster");
  EXPECT_EQ(condition.message.find("--refresh"), std::string::npos) << condition.message;
}

TEST(AcceptedByPeer, HoldsWhenNothingIsRefused) {
  const auto condition = accepted_by_peer({}, "west");
  EXPECT_EQ(condition.status, api::ConditionStatus::kTrue);
  EXPECT_EQ(condition.reason, "Accepted");
}

TEST(AcceptedByPeer, CountsWhatHasNoName) {
  const auto condition =
      accepted_by_peer(report_of(std::vector<Refusal>{{RefusalReason::kInvalid, "x"}}), "west");
  EXPECT_EQ(condition.message.find("cluster west refuses 1 statements (it cannot read"), 0U)
      << condition.message;
}

TEST(RefusalBoard, AStreamGetsTheReportOfItsOwnClusterOnce) {
  RefusalBoard board;
  std::uint64_t west = 0;
  EXPECT_FALSE(board.next("west", west)) << "it is not known yet what is refused";
  EXPECT_TRUE(board.set({{"west", small_report()}, {"north", {}}}));
  EXPECT_EQ(board.next("west", west), encode_statement(small_report()));
  EXPECT_FALSE(board.next("west", west));
  std::uint64_t north = 0;
  EXPECT_EQ(board.next("north", north), encode_statement(RefusalReport{}))
      << "that nothing is refused is said, too";
  EXPECT_FALSE(board.set({{"west", small_report()}, {"north", {}}})) << "the same again";
  EXPECT_FALSE(board.next("west", west));
  EXPECT_TRUE(board.set({{"west", {}}}));
  EXPECT_EQ(board.next("west", west), encode_statement(RefusalReport{}));
  std::uint64_t late = 0;
  EXPECT_FALSE(board.next("north", late)) << "the cluster is no longer paired";
}

struct Told {
  SimLoop loop;
  int changes = 0;
  RefusalInbox inbox{loop, [this](const RefusalInbox::Reports&) { ++changes; }};

  void receive(std::uint32_t count) {
    inbox.receive("west", {{{RefusalReason::kOutsideAllowed, count}}});
  }
  [[nodiscard]] std::uint32_t count() const { return inbox.told().at("west").groups.at(0).count; }
};

TEST(RefusalInbox, TakesTheNewestReportAtOnceAndASlowSenderIsNeverDelayed) {
  Told told;
  told.receive(1);
  EXPECT_EQ(told.count(), 1U);
  told.receive(1);
  EXPECT_EQ(told.changes, 1) << "the same again changes nothing";
  told.receive(2);
  EXPECT_EQ(told.count(), 2U);
}

TEST(RefusalInbox, ASenderThatChangesItsMindAllTheTimeCausesOneChangeEveryTenSeconds) {
  Told told;
  for (std::uint32_t n = 1; n <= 600; ++n) {
    told.receive(n);
    told.loop.advance(milliseconds(100));
  }
  EXPECT_GE(told.changes, 9);
  EXPECT_LE(told.changes, 12) << "5 at once, and 6 in a minute";
  told.loop.advance(seconds(11));
  EXPECT_EQ(told.count(), 600U) << "the newest one takes effect in the end";
}

TEST(RefusalInbox, ForgetsClustersThatAreNoLongerPaired) {
  Told told;
  told.receive(1);
  told.inbox.keep_only({"west"});
  EXPECT_EQ(told.inbox.told().size(), 1U);
  told.inbox.keep_only({});
  EXPECT_TRUE(told.inbox.told().empty());
  EXPECT_EQ(told.changes, 2);
}

}  // namespace
}  // namespace cw::gateway
