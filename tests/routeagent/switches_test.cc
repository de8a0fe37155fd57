// The notes for people about changed choices.
#include "routeagent/switches.h"

#include <gtest/gtest.h>

namespace cw::routeagent {
namespace {

using Choices = std::map<ChoiceKey, Choice>;
const ChoiceKey kWest{"west", Family::kV4};

GatewayInput gateway(std::uint32_t ordinal, bool usable) {
  GatewayInput one;
  one.ordinal = ordinal;
  one.usable = usable;
  one.reaches = {"west"};
  return one;
}

TEST(SwitchNotes, SayFromToWhyAndWhen) {
  const WallTime when(std::chrono::seconds(7));
  const auto notes =
      switch_notes({{kWest, {0, "home of x", {}}}}, {{kWest, {1, "gateway 0 is down", when}}},
                   {gateway(0, false), gateway(1, true)});
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].what, "traffic to west, IPv4");
  EXPECT_EQ(notes[0].from, "gateway 0");
  EXPECT_EQ(notes[0].to, "gateway 1");
  EXPECT_EQ(notes[0].reason, "gateway 0 is down");
  EXPECT_EQ(notes[0].when, when);
  EXPECT_TRUE(notes[0].warning);
}

TEST(SwitchNotes, LeavingAGatewayThatWorksIsNoWarning) {
  const std::vector<GatewayInput> both{gateway(0, true), gateway(1, true)};
  EXPECT_FALSE(
      switch_notes({{kWest, {1, "", {}}}}, {{kWest, {0, "home of x", {}}}}, both).at(0).warning);
  auto blocked = both;
  blocked[1].not_forwarding = {kWest};
  blocked[0].forwards = {kWest};
  EXPECT_TRUE(
      switch_notes({{kWest, {1, "", {}}}}, {{kWest, {0, "home of x", {}}}}, blocked).at(0).warning)
      << "it does not forward";
}

TEST(SwitchNotes, ASwitchToNoGatewayIsNamedAndAWarning) {
  const auto notes =
      switch_notes({{kWest, {1, "", {}}}}, {{kWest, {std::nullopt, "none", {}}}}, {});
  EXPECT_EQ(notes.at(0).to, "no gateway");
  EXPECT_TRUE(notes.at(0).warning);
}

TEST(SwitchNotes, AFirstChoiceAnotherReasonAndAnUnpairedClusterAreNoSwitches) {
  const Choices one{{kWest, {1, "a", {}}}};
  EXPECT_TRUE(switch_notes({}, one, {}).empty());
  EXPECT_TRUE(switch_notes(one, {{kWest, {1, "b", {}}}}, {}).empty());
  EXPECT_TRUE(switch_notes(one, {}, {}).empty());
}

}  // namespace
}  // namespace cw::routeagent
