// Tunnels over a driver with slow calls: a job runs when the test lets it.
#include "gateway/tunnels.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "base/fake/sim_loop.h"
#include "tests/gateway/scene.h"
#include "tunnel/fake/fake_driver.h"

namespace cw::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SlowDriver : public ::testing::Test {
 protected:
  // West with two gateways, both usable; the device is as wanted.
  void start() {
    make();
    tunnels_->set_clusters({{"west", west_}});
    run_all();
    see(true, true);
    run_all();
    (void)driver_.take_log();
  }
  void make() {
    tunnels_ = std::make_unique<Tunnels>(loop_, driver_, metrics_,
                                         TunnelsConfig{private_key(1), 4500, seconds(5)},
                                         TunnelEvents{{}, {}, [this] { ++changes_; }},
                                         Background{[this](Worker::Job job) {
                                                      jobs_.push_back(std::move(job));
                                                      return true;
                                                    },
                                                    {}});
  }
  void see(bool first, bool second) {
    Tunnels::Views views;
    views[{"west", 0}].usable = first;
    views[{"west", 1}].usable = second;
    tunnels_->set_views(std::move(views));
  }
  // Runs the oldest job on its thread, and its result on the loop.
  void run_one() {
    ASSERT_FALSE(jobs_.empty());
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    job()();
  }
  void run_all() {
    for (int n = 0; n < 100 && !jobs_.empty(); ++n) run_one();
    ASSERT_TRUE(jobs_.empty());
  }
  [[nodiscard]] std::size_t carried(unsigned n) {
    const auto peer = driver_.device().peers.find(public_key(200 + n));
    return peer == driver_.device().peers.end() ? 0 : peer->second.allowed_ips.size() - 2;
  }
  [[nodiscard]] bool all_placed() const {
    return std::all_of(west_.nodes.begin(), west_.nodes.end(),
                       [&](const auto& one) { return tunnels_->placed(key(one.first)); });
  }
  static homing::ClaimKey key(const std::string& node) { return {"west", homing::share(node)}; }
  void add_node(const std::string& node, const Prefix& prefix) {
    west_.cidrs.push_back(prefix);
    west_.nodes[node].push_back(prefix);
  }

  SimLoop loop_;
  Metrics metrics_;
  tunnel::FakeDriver driver_;
  RemoteCluster west_ = remote_cluster(2, 2, 4);
  std::deque<Worker::Job> jobs_;
  int changes_ = 0;
  std::unique_ptr<Tunnels> tunnels_;
};

TEST_F(SlowDriver, AFallMovesPrefixesWhileACallHangs) {
  start();
  ASSERT_EQ(carried(0), 2U);
  tunnels_->reconcile();
  ASSERT_EQ(jobs_.size(), 1U) << "the read hangs";
  see(false, true);
  EXPECT_EQ(carried(0), 0U);
  EXPECT_EQ(carried(1), 4U);
  EXPECT_TRUE(all_placed()) << "moves that are made at once count at once";
  EXPECT_EQ(jobs_.size(), 1U) << "one call at a time";
  run_all();
  EXPECT_EQ(carried(1), 4U);
}

// The apply has read the device and computed its changes. Then a gateway falls.
TEST_F(SlowDriver, AnApplyThatIsOlderThanAMoveDoesNotUndoIt) {
  start();
  add_node("n8", net("10.2.9.0/24"));  // its home is gateway 0
  tunnels_->set_clusters({{"west", west_}});
  int moves = 0;
  driver_.before_apply([&] {
    if (moves++ == 0) see(false, true);
  });
  run_one();
  EXPECT_EQ(carried(0), 0U);
  EXPECT_EQ(carried(1), 5U) << "the move stands, the older spec changed nothing";
  EXPECT_EQ(tunnels_->error(), "");
  EXPECT_TRUE(all_placed());
  run_all();
  EXPECT_EQ(carried(0), 0U);
  EXPECT_EQ(carried(1), 5U);
  EXPECT_TRUE(all_placed());
}

TEST_F(SlowDriver, WhereMovesWaitTheyAreFirstInLineAndSaidWhenDone) {
  driver_.set_moves_at_once(false);
  start();
  tunnels_->reconcile();
  add_node("n8", net("10.2.9.0/24"));         // its home is gateway 0
  tunnels_->set_clusters({{"west", west_}});  // an apply waits
  see(false, true);
  see(true, true);
  see(false, true);
  EXPECT_FALSE(all_placed());
  EXPECT_EQ(carried(0), 2U);
  run_one();  // the read
  (void)driver_.take_log();
  run_one();
  EXPECT_EQ(carried(1), 5U) << "moves before the apply: " << driver_.take_log();
  EXPECT_TRUE(tunnels_->placed(key("n0")));
  run_all();
  EXPECT_EQ(carried(1), 5U);
  EXPECT_TRUE(all_placed());
}

TEST_F(SlowDriver, AMoveThatFailsIsNotSaidToBeDoneUntilAnApplyMadeIt) {
  start();
  driver_.fail_next({Errc::kUnavailable, "busy"});
  see(false, true);
  EXPECT_EQ(carried(0), 2U);
  EXPECT_FALSE(tunnels_->placed(key("n0")) && tunnels_->placed(key("n1")) && all_placed());
  run_all();
  EXPECT_EQ(carried(0), 0U);
  EXPECT_TRUE(all_placed());
}

TEST_F(SlowDriver, SaysThatItDoesNotAnswerAndThenThatItDoesAgain) {
  start();
  const auto before = changes_;
  tunnels_->reconcile();
  loop_.advance(seconds(1));
  tunnels_->reconcile();
  EXPECT_EQ(tunnels_->error(), "");
  loop_.advance(seconds(1));
  tunnels_->reconcile();
  EXPECT_NE(tunnels_->error().find("driver fake does not answer"), std::string::npos);
  EXPECT_FALSE(tunnels_->applied());
  for (int n = 0; n < 5; ++n) {
    loop_.advance(seconds(1));
    tunnels_->reconcile();
  }
  EXPECT_EQ(jobs_.size(), 1U);
  EXPECT_EQ(changes_, before + 1) << "said once";
  run_all();
  EXPECT_EQ(tunnels_->error(), "");
  EXPECT_TRUE(tunnels_->applied());
  EXPECT_EQ(changes_, before + 2);
}

// A gateway that restarts reads the device first: which remote gateway carried which prefix?
TEST_F(SlowDriver, TakesOverWhatADeviceHasBeforeItPlacesAnything) {
  start();
  see(false, true);
  run_all();
  ASSERT_EQ(carried(1), 4U);
  make();
  tunnels_->set_clusters({{"west", west_}});
  see(true, true);
  EXPECT_FALSE(tunnels_->tried());
  EXPECT_TRUE(tunnels_->placement().empty());
  driver_.fail_next({Errc::kUnavailable, "no answer in time"});
  run_one();
  EXPECT_TRUE(tunnels_->tried());
  EXPECT_NE(tunnels_->error().find("no answer in time"), std::string::npos);
  EXPECT_TRUE(tunnels_->placement().empty()) << "there is one that does not answer";
  tunnels_->reconcile();
  run_one();
  EXPECT_EQ(tunnels_->placement().size(), 4U);
  run_all();
  EXPECT_EQ(tunnels_->error(), "");
}

// A claim of a peer moves only its own node. Its cost does not grow with the prefixes of others.
TEST_F(SlowDriver, AClaimAloneMovesWhatAWholePlacementWould) {
  west_ = remote_cluster(2, 3, 40);
  start();
  std::mt19937 dice(3);
  ClaimFlow::Claimed claimed;
  for (int round = 0; round < 300; ++round) {
    const auto before = tunnels_->placement();
    see(dice() % 4 != 0, dice() % 4 != 0);
    const auto node = key(homing::node_name(static_cast<unsigned>(dice() % 40)));
    claimed[node] = {"west", static_cast<std::uint32_t>(dice() % 3)};
    tunnels_->change_claims({{node, claimed[node]}});
    const auto after = tunnels_->placement();
    tunnels_->set_claims(claimed);
    EXPECT_EQ(tunnels_->placement(), after) << round;
    run_all();
    loop_.advance(milliseconds(20));
    EXPECT_TRUE(all_placed());
  }
}

TEST_F(SlowDriver, AClaimBeyondTheBudgetWaitsAndIsNotSaidToBeDone) {
  start();
  const auto& prefix = west_.cidrs[0];
  const auto node = key("n0");
  std::size_t moved = 0;
  for (std::uint32_t n = 0; n < 2000; ++n) {
    const auto before = tunnels_->placement().at(prefix);
    tunnels_->change_claims({{node, {"west", n % 2}}});
    moved += tunnels_->placement().at(prefix) != before ? 1 : 0;
  }
  EXPECT_LE(moved, 256U);
  const auto now = tunnels_->placement().at(prefix).ordinal;
  tunnels_->change_claims({{node, {"west", 1 - now}}});
  run_all();
  EXPECT_FALSE(tunnels_->placed(node)) << "a newer claim waits";
  EXPECT_TRUE(tunnels_->placed(key("n1")));
  // Another look at everything does not let it through either.
  tunnels_->set_claims({{node, {"west", 1 - now}}});
  see(true, true);
  EXPECT_EQ(tunnels_->placement().at(prefix).ordinal, now);
  loop_.advance(ClaimFlow::kPause);
  run_all();
  EXPECT_EQ(tunnels_->placement().at(prefix).ordinal, 1 - now);
  EXPECT_TRUE(tunnels_->placed(node));
}

// What a node has is where its claim is, as soon as it is announced.
TEST_F(SlowDriver, ANewBlockIsWhereItsNodesClaimIsAndOneThatMovesFollowsTheOther) {
  start();
  tunnels_->set_claims({{key("n2"), {"west", 0}}, {key("n3"), {"west", 1}}});
  run_all();
  const auto block = net("10.2.9.0/24");
  add_node("n2", block);
  tunnels_->set_clusters({{"west", west_}});
  EXPECT_FALSE(tunnels_->placed(key("n2"))) << "the device does not have it yet";
  run_all();
  EXPECT_TRUE(tunnels_->placed(key("n2")));
  EXPECT_EQ(tunnels_->placement().at(block), (GatewayId{"west", 0}));
  std::erase(west_.nodes["n2"], block);
  west_.nodes["n3"].push_back(block);
  west_.nodes["n3"].push_back(net("10.2.2.7/32"));  // borrowed of n2's block
  west_.cidrs.push_back(net("10.2.2.7/32"));
  tunnels_->set_clusters({{"west", west_}});
  run_all();
  EXPECT_EQ(tunnels_->placement().at(block), (GatewayId{"west", 1}));
  EXPECT_EQ(tunnels_->placement().at(net("10.2.2.0/24")), (GatewayId{"west", 0}));
  EXPECT_EQ(driver_.device().peers.at(public_key(201)).allowed_ips.count(net("10.2.2.7/32")), 1U);
  EXPECT_TRUE(all_placed());
}

TEST_F(SlowDriver, ACallMayOutliveItsOwner) {
  start();
  tunnels_->reconcile();
  tunnels_.reset();
  run_all();
}

}  // namespace
}  // namespace cw::gateway
