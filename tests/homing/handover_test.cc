// Handovers and claims alone. The agent's tests have them together with the kernel.
#include "homing/handover.h"

#include <gtest/gtest.h>

namespace cw::homing {
namespace {

using std::chrono::milliseconds;

const ChoiceKey kWest{"west", Family::kV4};
const ClaimKey kNode{"west", {owner_id("n1"), Family::kV4}};

class MoverStory : public testing::Test {
 protected:
  MoverStory() {
    input_.owner = {"east", "n1"};
    for (std::uint32_t n = 0; n < 2; ++n) {
      GatewayInput gateway;
      gateway.ordinal = n;
      gateway.usable = true;
      gateway.reaches = {"west"};
      input_.gateways.push_back(gateway);
    }
  }
  void choose(std::optional<std::uint32_t> ordinal, Duration later = {}) {
    now_ += later;
    choices_[kWest].ordinal = ordinal;
    mover_.want({choices_, input_, self_}, now_);
  }
  std::vector<ProbeClaim> told(std::uint32_t to) {
    tunnel::Probe request;
    mover_.fill(to, request);
    return claims_of(request);
  }
  void answer(std::uint32_t from, bool settled) {
    tunnel::Probe reply;
    auto claims = told(from);
    for (auto& entry : claims) entry.settled = settled;
    put_claims(claims, reply);
    mover_.hear(from, reply, now_);
  }

  std::map<ChoiceKey, Choice> choices_;
  ChooseInput input_;
  std::optional<std::uint32_t> self_;
  TimePoint now_{std::chrono::hours(1)};
  Handovers mover_;
};

TEST_F(MoverStory, TheFirstChoiceIsClaimedAtAllGateways) {
  choose(0);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.take_urgent(), (std::set<std::uint32_t>{0, 1}));
  EXPECT_TRUE(mover_.take_urgent().empty());
  ASSERT_EQ(told(0).size(), 1U);
  EXPECT_EQ(told(0)[0].key, kNode);
  EXPECT_EQ(told(1)[0].claim, (Claim{0, 1}));
}

TEST_F(MoverStory, AHandoverIsConfirmedByTheOldCarrier) {
  choose(0);
  (void)mover_.take_urgent();
  choose(1);
  EXPECT_EQ(mover_.held(), std::set<ChoiceKey>{kWest});
  EXPECT_EQ(mover_.take_urgent(), std::set<std::uint32_t>{0});
  EXPECT_TRUE(told(1).empty()) << "a claim by the new carrier could overtake packets";
  answer(0, false);
  EXPECT_FALSE(mover_.held().empty());
  tunnel::Probe other;
  put_claims({{kNode, {1, 2}, true}}, other);
  mover_.hear(1, other, now_);  // not the old carrier
  EXPECT_FALSE(mover_.held().empty());
  answer(0, true);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.take_urgent(), (std::set<std::uint32_t>{0, 1}));
  EXPECT_EQ(told(1).size(), 1U);
  EXPECT_EQ(mover_.unconfirmed(), 0U);
}

TEST_F(MoverStory, NothingIsHeldForACarrierThatDoesNotForward) {
  choose(0);
  (void)mover_.take_urgent();
  input_.gateways[0].not_forwarding = {kWest};
  input_.gateways[1].forwards = {kWest};
  choose(1);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.take_urgent(), (std::set<std::uint32_t>{0, 1}));
}

TEST_F(MoverStory, AnOldAnswerConfirmsNothing) {
  choose(0);
  tunnel::Probe old;
  put_claims({{kNode, {0, 1}, true}}, old);
  choose(1);
  mover_.hear(0, old, now_);
  EXPECT_FALSE(mover_.held().empty());
}

TEST_F(MoverStory, PatienceEnds) {
  choose(0);
  choose(1);
  mover_.tick(now_ + milliseconds(599));
  EXPECT_FALSE(mover_.held().empty());
  mover_.tick(now_ + milliseconds(600));
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.unconfirmed(), 1U);
}

TEST_F(MoverStory, NothingIsHeldForACarrierThatIsGoneOrForTheGatewayOnThisNode) {
  choose(0);
  input_.gateways[0].usable = false;
  choose(1);
  EXPECT_TRUE(mover_.held().empty());
  input_.gateways[0].usable = true;
  self_ = 0;
  choose(0);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 3}));
}

TEST_F(MoverStory, AClusterThatNoGatewayReachesKeepsItsClaimsAndHoldsNothing) {
  choose(0);
  choose(1);
  choose(std::nullopt);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.claims().size(), 1U);
}

TEST_F(MoverStory, FamiliesAreClaimedApart) {
  choose(0);
  choices_[{"west", Family::kV6}].ordinal = 1;
  choose(0);
  EXPECT_TRUE(mover_.held().empty());
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 1}));
  EXPECT_EQ(mover_.claims().at({"west", {owner_id("n1"), Family::kV6}}), (Claim{1, 1}));
  choices_.erase({"west", Family::kV6});
  choose(0);
  EXPECT_EQ(mover_.claims().size(), 1U);
}

TEST_F(MoverStory, AHigherEpochOfTheSameGatewayIsAdopted) {
  choose(0);
  (void)mover_.take_urgent();
  tunnel::Probe reply;
  put_claims({{kNode, {0, 77}, false}}, reply);
  mover_.hear(1, reply, now_);
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 77}));
  EXPECT_EQ(mover_.take_urgent().size(), 2U);
  now_ += milliseconds(100);
  put_claims({{kNode, {1, 80}, false}}, reply);
  mover_.hear(1, reply, now_);
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 81}));
}

TEST_F(MoverStory, AnEqualEpochForAnotherGatewayIsOutbid) {
  choose(0);
  tunnel::Probe reply;
  put_claims({{kNode, {1, 1}, false}}, reply);
  mover_.hear(1, reply, now_);
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 2}));
}

TEST_F(MoverStory, AnEpochThatCannotBeOutbidIsIgnored) {
  choose(0);
  (void)mover_.take_urgent();
  for (const auto epoch : {kMaxEpoch, kMaxEpoch + 1, ~std::uint64_t{0}}) {
    tunnel::Probe reply;
    put_claims({{kNode, {1, epoch}, false}}, reply);
    mover_.hear(1, reply, now_);
    EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, 1}));
  }
  EXPECT_TRUE(mover_.take_urgent().empty());
}

TEST_F(MoverStory, CountsNeverWrapAndAFullOneBeginsAgain) {
  choose(0);
  tunnel::Probe reply;
  put_claims({{kNode, {1, kMaxEpoch - 1}, false}}, reply);
  mover_.hear(1, reply, now_);
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{0, kMaxEpoch}));
  choose(1);
  EXPECT_EQ(mover_.claims().at(kNode), (Claim{1, 1}));
}

TEST_F(MoverStory, ASideThatClaimsMoreAndMoreIsOutbidTenTimesPerSecondAtMost) {
  choose(0);
  unsigned rounds = 0;
  for (int ms = 0; ms < 1000; ++ms) {
    now_ += milliseconds(1);
    tunnel::Probe reply;
    const auto mine = mover_.claims().at(kNode);
    put_claims({{kNode, {1, mine.epoch + 1}, false}}, reply);
    mover_.hear(1, reply, now_);
    rounds += mover_.take_urgent().empty() ? 0 : 1;
  }
  EXPECT_LE(rounds, 12U);
  EXPECT_GE(rounds, 9U);
}

TEST_F(MoverStory, AGatewayThatStartedAgainIsToldEverythingAtOnce) {
  choose(0);
  answer(0, true);
  mover_.forget(0);
  EXPECT_EQ(told(0).size(), 1U);
}

}  // namespace
}  // namespace cw::homing
