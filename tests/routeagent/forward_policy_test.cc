// If the agent turned forwarding on, the host forwards Causeway's packets only.
#include "routeagent/node/forward_policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "routeagent/node/reconcile.h"
#include "tests/routeagent/lives.h"
#include "tests/routeagent/node_kernel.h"

namespace cw::routeagent {
namespace {

const std::string kTable = "causeway-forward";

NodeState wanted() {
  auto in = inputs();
  in.forward_ours_only = true;
  return desired_state(in);
}

TEST(ForwardPolicy, AHostThatDidNotForwardForwardsOursOnly) {
  NodeKernel kernel;
  NodeReconciler reconciler(kernel);
  EXPECT_TRUE(reconciler.apply(wanted()).errors.empty());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1");
  const auto table = kernel.nft[kTable];
  EXPECT_NE(table.find("chain ours4"), std::string::npos);
  EXPECT_NE(table.find("10.2.0.0/16"), std::string::npos);
  EXPECT_EQ(reconciler.apply(wanted()).steps, 0U);
}

TEST(ForwardPolicy, AHostThatForwardedBeforeGoesOnAsItDid) {
  NodeKernel kernel;
  kernel.sysctls["ipv4/ip_forward"] = "1";
  kernel.sysctls["ipv6/conf/all/forwarding"] = "1";
  NodeReconciler reconciler(kernel);
  reconciler.apply(wanted());
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
  // Another program turns forwarding off for a moment: it is still not the agent's.
  kernel.sysctls["ipv4/ip_forward"] = "0";
  reconciler.apply(wanted());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1");
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
}

TEST(ForwardPolicy, IsRememberedByTheNextProcessAndRepaired) {
  NodeKernel kernel;
  NodeReconciler(kernel).apply(wanted());
  const auto table = kernel.nft[kTable];
  NodeReconciler next(kernel);
  next.apply(wanted());
  EXPECT_EQ(kernel.nft[kTable], table);
  kernel.nft.erase(kTable);  // nft flush ruleset
  next.apply(wanted());
  EXPECT_EQ(kernel.nft[kTable], table);
}

TEST(ForwardPolicy, StandsBeforeForwardingIsTurnedOn) {
  for (int at = 0; at < 40; ++at) {
    NodeKernel kernel;
    kernel.fail_at = at;
    kernel.crashed = true;
    NodeReconciler(kernel).apply(wanted());
    if (kernel.sysctls["ipv4/ip_forward"] == "1") {
      EXPECT_EQ(kernel.nft.count(kTable), 1U) << "change " << at;
    }
    // The next process still finds that forwarding is the agent's.
    kernel.fail_at = -1;
    kernel.crashed = false;
    NodeReconciler(kernel).apply(wanted());
    EXPECT_EQ(kernel.nft.count(kTable), 1U) << "change " << at;
  }
}

// A file on the host's disk. life() is one run of the agent.
struct Remembered {
  Result<std::set<Family>> file;
  Result<> disk;
  int writes = 0;

  NodeReport life(NodeKernel& kernel) {
    NodeReconciler reconciler(kernel, kernel,
                              [](const std::function<void()>& call) {
                                call();
                                return true;
                              },
                              {file, [this](const std::set<Family>& families) {
                                 ++writes;
                                 if (disk) file = families;
                                 return disk;
                               }});
    return reconciler.apply(wanted());
  }
};

// Without the file, `nft flush ruleset` while the agent is stopped would make the host an open
// router until its next boot.
TEST(ForwardPolicy, AFlushWhileTheAgentIsAwayForgetsNothing) {
  NodeKernel kernel;
  Remembered host;
  EXPECT_TRUE(host.life(kernel).errors.empty());
  const auto table = kernel.nft[kTable];
  EXPECT_EQ(*host.file, (std::set<Family>{Family::kV4, Family::kV6}));
  kernel.nft.clear();
  EXPECT_TRUE(host.life(kernel).errors.empty());
  EXPECT_EQ(kernel.nft[kTable], table);
  EXPECT_EQ(host.writes, 1);
}

TEST(ForwardPolicy, TheFileIsWrittenBeforeForwardingIsTurnedOn) {
  NodeKernel kernel;
  Remembered host;
  host.disk = fail(Errc::kUnavailable, "disk full");
  const auto report = host.life(kernel);
  EXPECT_NE(fmt::format("{}", fmt::join(report.errors, "; ")).find("disk full"), std::string::npos);
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "0");
  host.disk = {};
  EXPECT_TRUE(host.life(kernel).errors.empty());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "1");
}

TEST(ForwardPolicy, ATableOfAnEarlierVersionIsNotedInTheFile) {
  NodeKernel kernel;
  NodeReconciler(kernel).apply(wanted());
  Remembered host;
  EXPECT_TRUE(host.life(kernel).errors.empty());
  EXPECT_EQ(host.file->size(), 2U);
}

TEST(ForwardPolicy, AFileThatCannotBeReadIsSaidWhereItMatters) {
  NodeKernel kernel;
  Remembered host;
  host.file = fail(Errc::kInvalid, "forwarding: not a record of this version");
  kernel.sysctls["ipv4/ip_forward"] = "1";
  const auto report = host.life(kernel);
  EXPECT_NE(fmt::format("{}", fmt::join(report.errors, "; ")).find("not a record"),
            std::string::npos);
  kernel.sysctls["ipv4/ip_forward"] = "0";  // it is off, so the file is not needed
  EXPECT_TRUE(host.life(kernel).errors.empty());
  EXPECT_EQ(kernel.nft.count(kTable), 1U);
}

TEST(ForwardMemory, IsOfOneBoot) {
  const std::set<Family> both{Family::kV4, Family::kV6};
  const auto text = forward_memory_text("boot-1 net:[1]", both);
  EXPECT_EQ(*parse_forward_memory(text, "boot-1 net:[1]"), both);
  EXPECT_TRUE(parse_forward_memory(text, "boot-2 net:[1]")->empty());
  EXPECT_TRUE(parse_forward_memory(text, "boot-1 net:[2]")->empty());
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(parse_forward_memory(text.substr(0, size), "boot-1 net:[1]")) << size;
  }
  EXPECT_FALSE(parse_forward_memory(text + "x", "boot-1 net:[1]"));
}

TEST(ForwardMemory, OutlivesTheAgentOnDisk) {
  std::string folder = testing::TempDir() + "forwarding-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_TRUE(forward_memory(folder).before->empty());
  ASSERT_TRUE(forward_memory(folder).write({Family::kV6}));
  EXPECT_EQ(*forward_memory(folder).before, std::set<Family>{Family::kV6});
  std::ofstream(folder + "/forwarding") << "x";
  EXPECT_NE(forward_memory(folder).before.error().text.find(folder), std::string::npos);
  ASSERT_TRUE(remove_forward_memory(folder));
  ASSERT_TRUE(remove_forward_memory(folder));
  EXPECT_TRUE(forward_memory(folder).before->empty());
  std::filesystem::remove_all(folder);
}

TEST(ForwardPolicy, ACleanupTurnsOffWhatTheFileSaysWasOurs) {
  NodeKernel kernel;
  NodeReconciler(kernel).apply(wanted());
  kernel.nft.clear();
  EXPECT_TRUE(remove_node(kernel, {Family::kV4}).errors.empty());
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "0");
  EXPECT_EQ(kernel.sysctls["ipv6/conf/all/forwarding"], "1");
}

TEST(ForwardPolicy, ACleanupTurnsOffWhatWasOurs) {
  NodeKernel kernel;
  NodeReconciler(kernel).apply(wanted());
  EXPECT_TRUE(remove_node(kernel).errors.empty());
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
  EXPECT_EQ(kernel.sysctls["ipv4/ip_forward"], "0");
}

TEST(ForwardPolicy, WithoutTheOptionNothingIsRestricted) {
  NodeKernel kernel;
  NodeReconciler(kernel).apply(desired_state(inputs()));
  EXPECT_EQ(kernel.nft.count(kTable), 0U);
}

}  // namespace
}  // namespace cw::routeagent
