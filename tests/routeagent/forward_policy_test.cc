// Who turned forwarding on decides what is forwarded.
#include "routeagent/node/forward_policy.h"

#include <gtest/gtest.h>

#include "routeagent/node/reconcile.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/model_kernel.h"

namespace cw::routeagent {
namespace {

const std::string kTable = "causeway-forward";

NodeState wanted() {
  auto in = inputs();
  in.forward_ours_only = true;
  return desired_state(in);
}

TEST(ForwardPolicy, AHostThatDidNotForwardForwardsOursOnly) {
  ModelKernel kernel;
  Reconciler reconciler(kernel);
  EXPECT_TRUE(reconciler.apply(wanted()).errors.empty());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1");
  const auto table = kernel.nft[kTable];
  EXPECT_NE(table.find("chain ours4"), std::string::npos);
  EXPECT_NE(table.find("10.2.0.0/16"), std::string::npos);
  EXPECT_EQ(reconciler.apply(wanted()).steps, 0U);
}

TEST(ForwardPolicy, AHostThatForwardedBeforeGoesOnAsItDid) {
  ModelKernel kernel;
  kernel.sysctls["ipv4/ip_forward"] = "1";
  kernel.sysctls["ipv6/conf/all/forwarding"] = "1";
  Reconciler reconciler(kernel);
  reconciler.apply(wanted());
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
  // Somebody turns it off for a moment: that does not make it ours.
  kernel.sysctls["ipv4/ip_forward"] = "0";
  reconciler.apply(wanted());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1");
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
}

TEST(ForwardPolicy, IsRememberedByTheNextProcessAndRepaired) {
  ModelKernel kernel;
  Reconciler(kernel).apply(wanted());
  const auto table = kernel.nft[kTable];
  Reconciler next(kernel);
  next.apply(wanted());
  EXPECT_EQ(kernel.nft[kTable], table);
  kernel.nft.erase(kTable);  // nft flush ruleset
  next.apply(wanted());
  EXPECT_EQ(kernel.nft[kTable], table);
}

TEST(ForwardPolicy, StandsBeforeForwardingIsTurnedOn) {
  for (int at = 0; at < 40; ++at) {
    ModelKernel kernel;
    kernel.fail_at = at;
    kernel.crashed = true;
    Reconciler(kernel).apply(wanted());
    if (kernel.sysctls["ipv4/ip_forward"] == "1") {
      EXPECT_EQ(kernel.nft.count(kTable), 1U) << "change " << at;
    }
    // And a crash in between is not forgotten.
    kernel.fail_at = -1;
    kernel.crashed = false;
    Reconciler(kernel).apply(wanted());
    EXPECT_EQ(kernel.nft.count(kTable), 1U) << "change " << at;
  }
}

TEST(ForwardPolicy, ACleanupTurnsOffWhatWasOurs) {
  ModelKernel kernel;
  Reconciler(kernel).apply(wanted());
  EXPECT_TRUE(remove_all(kernel).errors.empty());
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "0");
}

TEST(ForwardPolicy, WithoutTheOptionNothingIsRestricted) {
  ModelKernel kernel;
  Reconciler(kernel).apply(desired_state(inputs()));
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
}

}  // namespace
}  // namespace cw::routeagent
