// Which gateway carries a node's traffic: gateways that fail, come back, drain and lose their
// reach. The tests use the home order itself, so that they contain no hash value.
#include "homing/choose.h"

#include <gtest/gtest.h>

#include "homing/order.h"

namespace cw::homing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Three good gateways that all reach west. The clock starts at one hour.
class ChooserStory : public ::testing::Test {
 protected:
  void SetUp() override {
    input_.owner = {"east", "n7"};
    input_.families = {Family::kV4};
    input_.remotes = {"west"};
    for (std::uint32_t ordinal = 0; ordinal < 3; ++ordinal) {
      GatewayInput gateway;
      gateway.ordinal = ordinal;
      gateway.usable = true;
      gateway.reaches = {"west"};
      input_.gateways.push_back(gateway);
    }
    order_ = order_of(input_.owner);
  }

  std::vector<std::uint32_t> order_of(const PrefixOwner& owner) {
    std::vector<homing::GatewayView> views;
    for (const auto& g : input_.gateways) views.push_back({g.ordinal, true, false, g.node});
    return homing::home_order(owner, views);
  }
  // The n-th gateway in home order.
  GatewayInput& nth(std::size_t n) { return input_.gateways[order_[n]]; }
  const Choice& choose(Duration later = {}) {
    now_ += later;
    chooser_.update(input_, now_, wall());
    return chooser_.choices().at({"west", Family::kV4});
  }
  [[nodiscard]] WallTime wall() const { return WallTime{now_.time_since_epoch()}; }

  ChooseInput input_;
  std::vector<std::uint32_t> order_;
  TimePoint now_{std::chrono::hours(1)};
  Chooser chooser_{minutes(2)};
};

TEST_F(ChooserStory, TheHomeCarriesItsNode) {
  const auto& choice = choose();
  EXPECT_EQ(choice.ordinal, order_[0]);
  EXPECT_EQ(choice.reason, "home of node n7");
  EXPECT_EQ(choice.since, wall());
}

TEST_F(ChooserStory, AGatewayNodePrefersItself) {
  nth(2).node = "n7";
  EXPECT_EQ(choose().ordinal, order_[2]);
}

TEST_F(ChooserStory, TheNextInOrderTakesOverAndTheReasonNamesTheOneThatIsDown) {
  choose();
  nth(0).usable = false;
  const auto& choice = choose(seconds(5));
  EXPECT_EQ(choice.ordinal, order_[1]);
  EXPECT_EQ(choice.reason, "gateway " + std::to_string(order_[0]) + " is down");
  EXPECT_EQ(choice.since, wall());
}

TEST_F(ChooserStory, AGatewayThatDoesNotReachTheClusterIsPassedOver) {
  nth(0).reaches = {"north"};
  const auto& choice = choose();
  EXPECT_EQ(choice.ordinal, order_[1]);
  EXPECT_EQ(choice.reason, "gateway " + std::to_string(order_[0]) + " does not reach west");
}

TEST_F(ChooserStory, EachRemoteClusterIsChosenForApart) {
  input_.remotes = {"north", "west"};
  for (auto& gateway : input_.gateways) gateway.reaches = {"north", "west"};
  nth(0).reaches = {"north"};
  choose();
  EXPECT_EQ(chooser_.choices().at({"north", Family::kV4}).ordinal, order_[0]);
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV4}).ordinal, order_[1]);
}

TEST_F(ChooserStory, FamiliesHaveOneHomeAndAreChosenForApart) {
  input_.families = {Family::kV4, Family::kV6};
  choose();
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV4}).ordinal, order_[0]);
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV6}).ordinal, order_[0]);
  nth(0).not_forwarding = {{"west", Family::kV6}};
  nth(1).forwards = {{"west", Family::kV6}};
  choose();
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV4}).ordinal, order_[0]);
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV6}).ordinal, order_[1]);
}

TEST_F(ChooserStory, ADrainingGatewayIsAvoided) {
  choose();
  nth(0).draining = true;
  const auto& choice = choose(seconds(1));
  EXPECT_EQ(choice.ordinal, order_[1]);
  EXPECT_EQ(choice.reason, "gateway " + std::to_string(order_[0]) + " is draining");
}

TEST_F(ChooserStory, ADrainingGatewayIsTakenWhenNothingElseIsUsable) {
  nth(0).draining = true;
  nth(1).usable = nth(2).usable = false;
  EXPECT_EQ(choose().ordinal, order_[0]);
  nth(1).draining = true;
  nth(1).usable = true;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]) << "in home order among the draining";
}

TEST_F(ChooserStory, AGatewayThatLosesMuchIsAvoidedAndHasAHoldDown) {
  choose();
  nth(0).lossy_to = {"west"};
  const auto& choice = choose(seconds(1));
  EXPECT_EQ(choice.ordinal, order_[1]);
  EXPECT_EQ(choice.reason,
            "gateway " + std::to_string(order_[0]) + " loses much on the way to west");
  nth(0).lossy_to.clear();
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[1]) << "in hold-down";
  EXPECT_EQ(choose(minutes(2)).ordinal, order_[0]);
}

TEST_F(ChooserStory, LosingMuchIsBetterThanDrainingOrSilence) {
  choose();
  nth(0).lossy_to = {"west"};
  nth(1).draining = true;
  nth(2).usable = false;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]);
  nth(0).draining = true;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]) << "both drain: the home order decides";
}

TEST_F(ChooserStory, WhereAllLoseMuchNothingMoves) {
  choose();
  for (auto& gateway : input_.gateways) gateway.lossy_to = {"west"};
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]);
  nth(2).lossy_to.clear();
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[2]);
}

TEST_F(ChooserStory, AGatewayThatDoesNotForwardIsLeftIfAnotherDoes) {
  const ChoiceKey west{"west", Family::kV4};
  choose();
  nth(0).not_forwarding = {west};
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]) << "no gateway is known to be better";
  nth(1).not_forwarding = {west};
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]) << "no gateway is better";
  nth(2).forwards = {west};
  const auto& choice = choose(seconds(1));
  EXPECT_EQ(choice.ordinal, order_[2]);
  EXPECT_EQ(choice.reason, "gateway " + std::to_string(order_[0]) +
                               " does not forward to west; gateway " + std::to_string(order_[1]) +
                               " does not forward to west");
  // A gateway that forwards again has a hold-down, like each that came back.
  nth(0).not_forwarding.clear();
  nth(0).forwards = {west};
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[2]);
  EXPECT_EQ(choose(minutes(2)).ordinal, order_[0]);
}

TEST_F(ChooserStory, ForwardingIsJudgedByClusterAndFamily) {
  input_.families.insert(Family::kV6);
  input_.remotes = {"north", "west"};
  for (auto& gateway : input_.gateways) {
    gateway.reaches = {"north", "west"};
    gateway.forwards = {{"north", Family::kV4}, {"west", Family::kV4}, {"west", Family::kV6}};
  }
  nth(0).forwards.erase({"west", Family::kV4});
  nth(0).not_forwarding = {{"west", Family::kV4}};
  choose();
  EXPECT_EQ(chooser_.choices().at({"north", Family::kV4}).ordinal, order_[0]);
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV4}).ordinal, order_[1]);
  EXPECT_EQ(chooser_.choices().at({"west", Family::kV6}).ordinal, order_[0]);
}

TEST_F(ChooserStory, OneThatDoesNotForwardIsStillBetterThanOneThatIsDown) {
  const ChoiceKey west{"west", Family::kV4};
  choose();
  nth(0).not_forwarding = {west};
  nth(1).forwards = {west};
  nth(1).usable = false;
  nth(2).usable = false;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]) << "a gateway that is down proves nothing";
}

TEST_F(ChooserStory, ADrainingGatewayThatForwardsIsBetterThanOneThatDoesNot) {
  const ChoiceKey west{"west", Family::kV4};
  nth(0).not_forwarding = nth(1).not_forwarding = {west};
  nth(2).forwards = {west};
  nth(2).draining = true;
  EXPECT_EQ(choose().ordinal, order_[2]);
}

TEST_F(ChooserStory, WithoutACarrierTheReasonNamesEveryGateway) {
  nth(0).usable = nth(1).usable = false;
  nth(1).trouble = "has no tunnel device";
  nth(2).reaches = {};
  const auto& choice = choose();
  EXPECT_EQ(choice.ordinal, std::nullopt);
  const auto name = [&](std::size_t n) { return "gateway " + std::to_string(order_[n]); };
  EXPECT_EQ(choice.reason, name(0) + " is down; " + name(1) + " has no tunnel device; " + name(2) +
                               " does not reach west");
  input_.gateways.clear();
  EXPECT_EQ(choose().reason, "no gateway known");
}

TEST_F(ChooserStory, ARecoveredGatewayIsPreferredAgainOnlyAfterTheHoldDown) {
  choose();
  nth(0).usable = false;
  choose(seconds(10));
  nth(0).usable = true;
  const auto& held = choose(seconds(10));
  EXPECT_EQ(held.ordinal, order_[1]);
  EXPECT_EQ(held.reason, "gateway " + std::to_string(order_[0]) + " came back and is in hold-down");
  EXPECT_EQ(chooser_.next_end(now_), now_ + minutes(2));
  EXPECT_EQ(choose(minutes(2) - milliseconds(1)).ordinal, order_[1]);
  EXPECT_EQ(choose(milliseconds(1)).ordinal, order_[0]);
  EXPECT_EQ(chooser_.next_end(now_), std::nullopt);
}

TEST_F(ChooserStory, EachFallSoonAfterAComebackDoublesTheHoldDown) {
  choose();
  for (int i = 0; i < 3; ++i) {
    nth(0).usable = false;
    choose(seconds(1));
    nth(0).usable = true;
    choose(seconds(1));
  }
  EXPECT_EQ(choose(minutes(8) - milliseconds(1)).ordinal, order_[1]);
  EXPECT_EQ(choose(milliseconds(1)).ordinal, order_[0]);
}

TEST_F(ChooserStory, AGatewayInHoldDownIsStillBetterThanNoneAndThanADrainingOne) {
  choose();
  nth(0).usable = false;
  choose(seconds(1));
  nth(0).usable = true;
  choose(seconds(1));
  nth(1).draining = true;
  nth(2).usable = false;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[0]);
}

TEST_F(ChooserStory, TheCarrierIsNotLeftForAnotherInHoldDown) {
  choose();
  nth(0).usable = nth(2).usable = false;
  choose(seconds(1));
  nth(2).usable = true;  // comes back while the second carries
  choose(seconds(1));
  nth(1).usable = false;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[2]);
  nth(0).usable = true;
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[2]) << "both came back lately";
}

TEST_F(ChooserStory, AtTheStartNothingIsInHoldDown) {
  for (auto& gateway : input_.gateways) gateway.usable = false;
  choose();
  nth(1).usable = true;
  EXPECT_EQ(choose(milliseconds(300)).ordinal, order_[1]);
  nth(0).usable = true;
  EXPECT_EQ(choose(milliseconds(300)).ordinal, order_[0]);
}

TEST_F(ChooserStory, AClusterThatWasLostAltogetherStartsAfresh) {
  choose();
  for (auto& gateway : input_.gateways) gateway.reaches = {};
  EXPECT_EQ(choose(seconds(30)).ordinal, std::nullopt);
  nth(1).reaches = {"west"};
  EXPECT_EQ(choose(seconds(30)).ordinal, order_[1]);
  nth(0).reaches = {"west"};
  EXPECT_EQ(choose(milliseconds(50)).ordinal, order_[0]);
}

TEST_F(ChooserStory, SinceMovesOnlyWithTheGateway) {
  const auto start = wall();
  choose();
  nth(1).usable = false;
  EXPECT_EQ(choose(minutes(5)).since, start);
  nth(0).usable = false;
  const auto moved = choose(minutes(5)).since;
  EXPECT_EQ(moved, wall());
}

TEST_F(ChooserStory, IfNoGatewayWorksTheSilentCarrierStays) {
  choose();
  for (std::size_t n = 1; n < 3; ++n) nth(n).usable = false;
  nth(0).usable = false;
  const auto& kept = choose(seconds(1));
  EXPECT_EQ(kept.ordinal, order_[0]);
  EXPECT_NE(kept.reason.find("it stays there"), std::string::npos) << kept.reason;
  EXPECT_EQ(choose(minutes(10)).ordinal, order_[0]);
  nth(1).usable = true;  // any gateway that works is better
  EXPECT_EQ(choose(seconds(1)).ordinal, order_[1]);
}

TEST_F(ChooserStory, ACarrierThatSaysItDoesNotReachTheClusterIsLeft) {
  choose();
  for (std::size_t n = 0; n < 3; ++n) nth(n).reaches.clear();
  EXPECT_EQ(choose(seconds(1)).ordinal, std::nullopt);
  nth(0).usable = false;  // silent only after it confirmed the loss
  EXPECT_EQ(choose(seconds(1)).ordinal, std::nullopt);
}

TEST_F(ChooserStory, AClusterThatIsNoLongerAPeerIsForgotten) {
  choose();
  input_.remotes.clear();
  chooser_.update(input_, now_, wall());
  EXPECT_TRUE(chooser_.choices().empty());
  EXPECT_EQ(chooser_.next_end(now_), std::nullopt);
}

// Every combination of states of three gateways: the choice is the first of the best class.
TEST_F(ChooserStory, IsAlwaysTheFirstOfTheBestClass) {
  for (unsigned states = 0; states < 64; ++states) {
    Chooser fresh{minutes(2)};
    for (unsigned n = 0; n < 3; ++n) {
      const auto state = (states >> (2 * n)) & 3U;  // good, draining, unreaching, down
      nth(n).usable = state != 3;
      nth(n).draining = state == 1;
      nth(n).reaches = state == 2 ? std::set<std::string>{} : std::set<std::string>{"west"};
    }
    std::optional<std::uint32_t> want;
    for (const bool draining : {false, true}) {
      for (unsigned n = 0; n < 3 && !want; ++n) {
        if (nth(n).usable && !nth(n).reaches.empty() && nth(n).draining == draining) {
          want = order_[n];
        }
      }
    }
    const auto& got = fresh.update(input_, now_, wall()).at({"west", Family::kV4});
    EXPECT_EQ(got.ordinal, want) << "states " << states;
    EXPECT_FALSE(got.reason.empty());
  }
}

TEST(SilentEverywhere, IsToldOnlyWhereEveryGatewayThatReachesTheClusterIsSilent) {
  const ChoiceKey west{"west", Family::kV4};
  ChooseInput input;
  input.owner = {"east", "n3"};
  input.families = {Family::kV4};
  input.remotes = {"west"};
  GatewayInput gateway;
  gateway.usable = true;
  gateway.reaches = {"west"};
  gateway.not_forwarding = {west};
  input.gateways = {gateway, gateway};
  input.gateways[1].ordinal = 1;
  const auto told = silent_everywhere(input);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told.at(west).text.find("gateways 0, 1 reach"), std::string::npos)
      << told.at(west).text;
  EXPECT_NE(told.at(west).text.find("net.ipv4.ip_forward"), std::string::npos);
  input.gateways[1].not_forwarding.clear();
  EXPECT_TRUE(silent_everywhere(input).empty()) << "not known yet, or it forwards";
  input.gateways[1].reaches.clear();
  EXPECT_EQ(silent_everywhere(input).size(), 1U) << "that one does not count";
  input.gateways[0].usable = false;
  EXPECT_TRUE(silent_everywhere(input).empty()) << "another trouble";
}

TEST(SilentEverywhere, AGatewayOfThisNodeIsNoProofThatTheOthersForward) {
  const ChoiceKey west{"west", Family::kV4};
  ChooseInput input;
  input.owner = {"east", "n3"};
  input.families = {Family::kV4};
  input.remotes = {"west"};
  GatewayInput gateway;
  gateway.usable = true;
  gateway.reaches = {"west"};
  input.gateways = {gateway, gateway};
  input.gateways[0].here = true;
  input.gateways[1].ordinal = 1;
  EXPECT_TRUE(silent_everywhere(input).empty()) << "not probed yet";
  input.gateways[1].not_forwarding = {west};
  const auto told = silent_everywhere(input);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told.at(west).certain);
  EXPECT_NE(told.at(west).text.find("gateway 1 reaches"), std::string::npos);
  EXPECT_NE(told.at(west).text.find("gateway 0 on this node"), std::string::npos);
  input.gateways[1].not_forwarding.clear();
  input.gateways[1].forwards = {west};
  EXPECT_TRUE(silent_everywhere(input).empty());
  input.gateways.pop_back();
  EXPECT_TRUE(silent_everywhere(input).empty()) << "this node does not probe its own gateway";
}

}  // namespace
}  // namespace cw::homing
