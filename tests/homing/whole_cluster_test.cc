// Nodes and gateways of a cluster whose prefixes belong to it as a whole, and a remote gateway: do
// all nodes send through the gateway from which the remote one accepts?
#include <gtest/gtest.h>

#include <deque>

#include "homing/claim_table.h"
#include "homing/following.h"

namespace cw::homing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStep = milliseconds(10);
const GatewayId west_gateway{"west", 0};
const ChoiceKey to_west{"west", Family::kV4};
const ClaimKey ours{"east", {OwnerId{}, Family::kV4}};  // as the remote gateway has it

std::string name_of(std::size_t node) { return "n" + std::to_string(node); }

class WholeCluster : public ::testing::Test {
 protected:
  struct Node {
    Following following;
    Chooser chooser{seconds(2)};
    std::map<std::uint32_t, bool> sees;  // by gateway, as its probes have found out
    std::map<std::uint32_t, TimePoint> changed;
    std::optional<std::uint32_t> self;
    Duration slow{};  // it finds out so much later than others
  };
  struct Gateway {
    ClaimTable table;
    bool up = true;
    bool draining = false;
  };

  // The first gateways are on the first nodes.
  void raise(std::size_t nodes, std::size_t gateways) {
    for (std::size_t g = 0; g < gateways; ++g) gateways_.emplace_back();
    for (std::size_t n = 0; n < nodes; ++n) {
      nodes_.emplace_back();
      nodes_[n].slow = milliseconds(37) * n;
      if (n < gateways) nodes_[n].self = static_cast<std::uint32_t>(n);
      for (std::uint32_t g = 0; g < gateways; ++g) nodes_[n].sees[g] = true;
    }
    RemoteCluster east;
    east.nodes[""] = {*Prefix::parse("10.8.0.0/16")};
    for (std::uint32_t g = 0; g < gateways; ++g) {
      east.gateways[g] = {};
      join(g);
    }
    west_.set_world({}, {{"east", east}}, now_);
  }

  // The gateway has started: it knows the cluster and nothing else.
  void join(std::uint32_t gateway) {
    RemoteCluster west;
    west.gateways[0] = {};
    Electorate voters{gateway, {}, {}};
    for (std::size_t n = 0; n < nodes_.size(); ++n) voters.nodes.insert(name_of(n));
    for (std::uint32_t g = 0; g < gateways_.size(); ++g) voters.gateway_nodes[g] = name_of(g);
    auto& table = gateways_[gateway].table;
    table = {};
    table.set_world({{"", {*Prefix::parse("10.8.0.0/16")}}}, {{"west", west}}, now_);
    table.set_electorate(voters, now_);
  }

  [[nodiscard]] bool reaches(std::size_t n, std::uint32_t g) const {
    return gateways_[g].up && cut_.count({n, g}) == 0 && dead_.count(n) == 0;
  }

  void tell_west(std::uint32_t g) {
    if (!gateways_[g].up) return;
    tunnel::Probe request;
    tunnel::Probe reply;
    gateways_[g].table.fill(west_gateway, now_, request);
    (void)west_.from_remote({"east", g}, {true, now_}, request, reply);
    gateways_[g].table.hear(west_gateway, now_, reply);
  }

  void ask(std::size_t n, std::uint32_t g) {
    tunnel::Probe request;
    nodes_[n].following.fill(g, request);
    if (!reaches(n, g)) return;
    tunnel::Probe reply;
    const auto tell =
        gateways_[g].table.from_node(name_of(n), {true, now_}, request, {west_gateway}, reply);
    if (!tell.empty()) tell_west(g);
    nodes_[n].following.hear(g, reply, now_);
  }

  // What the node's probes find out half a second after it happened.
  void look(std::size_t n) {
    auto& node = nodes_[n];
    for (std::uint32_t g = 0; g < gateways_.size(); ++g) {
      const bool now = reaches(n, g);
      if (now == node.sees[g]) {
        node.changed.erase(g);
      } else if (now_ - node.changed.emplace(g, now_).first->second >=
                 milliseconds(400) + node.slow) {
        node.sees[g] = now;
        if (!now) node.following.forget(g);
      }
    }
  }

  void choose(std::size_t n) {
    auto& node = nodes_[n];
    ChooseInput input{{"east", ""}, {Family::kV4}, {"west"}, {}};
    for (std::uint32_t g = 0; g < gateways_.size(); ++g) {
      GatewayInput gateway;
      gateway.ordinal = g;
      gateway.usable = node.sees[g];
      gateway.draining = gateways_[g].draining;
      gateway.reaches = {"west"};
      input.gateways.push_back(gateway);
    }
    const auto& choices = node.chooser.update(input, now_, {});
    node.following.want({choices, input, node.self}, now_);
  }

  void step() {
    now_ += kStep;
    ++steps_;
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (dead_.count(n) != 0) continue;
      auto& following = nodes_[n].following;
      look(n);
      choose(n);
      following.tick(now_);
      auto asked = following.take_urgent();
      asked.merge(following.handed_over_from());
      for (std::uint32_t g = 0; g < gateways_.size(); ++g) {
        if (asked.count(g) != 0 || (steps_ + n * 4 + g) % 15 == 0) ask(n, g);
      }
    }
    if (steps_ % 20 == 0) {
      for (std::uint32_t g = 0; g < gateways_.size(); ++g) tell_west(g);
    }
  }
  void pass(Duration time) {
    for (const auto end = now_ + time; now_ < end;) step();
  }

  [[nodiscard]] std::optional<std::uint32_t> carrier(std::size_t n) {
    return nodes_[n].following.carriers(nodes_[n].chooser.choices(), {}).at(to_west).ordinal;
  }
  [[nodiscard]] std::optional<std::uint32_t> accepted() const {
    const auto all = west_.remote();
    const auto at = all.find(ours);
    return at == all.end() ? std::nullopt : std::optional(at->second.ordinal);
  }
  // The one gateway through which all living nodes send, and from which the other side accepts.
  [[nodiscard]] std::optional<std::uint32_t> common() {
    const auto one = accepted();
    for (std::size_t n = 0; n < nodes_.size(); ++n) {
      if (dead_.count(n) == 0 && carrier(n) != one) return std::nullopt;
    }
    return one;
  }
  // How long until then.
  [[nodiscard]] Duration until_common(std::uint32_t other_than, Duration most) {
    const auto began = now_;
    while (now_ - began < most) {
      const auto one = common();
      if (one && *one != other_than) break;
      step();
    }
    return now_ - began;
  }

  TimePoint now_{seconds(1000)};
  unsigned steps_ = 0;
  std::deque<Node> nodes_;
  std::deque<Gateway> gateways_;
  ClaimTable west_;
  std::set<std::pair<std::size_t, std::uint32_t>> cut_;
  std::set<std::size_t> dead_;
};

TEST_F(WholeCluster, AllNodesAgreeSoonAfterTheStart) {
  raise(5, 3);
  pass(seconds(1));
  EXPECT_TRUE(common().has_value());
}

TEST_F(WholeCluster, AfterACrashAllNodesFollowTheFirstOneThatFindsOut) {
  raise(5, 3);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  gateways_[*first].up = false;
  EXPECT_LE(until_common(*first, seconds(5)), milliseconds(620));
  gateways_[*first].up = true;
  join(*first);
  pass(seconds(5));
  EXPECT_EQ(common(), first) << "it is preferred again after its hold-down";
}

TEST_F(WholeCluster, AfterTheLossOfTheGatewaysNodeAnotherOneTakesOver) {
  raise(3, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  gateways_[*first].up = false;
  dead_.insert(*first);
  EXPECT_LE(until_common(*first, seconds(5)), milliseconds(620));
}

TEST_F(WholeCluster, OfTwoNodesTheOneThatIsLeftIsEnough) {
  raise(2, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  gateways_[*first].up = false;
  dead_.insert(*first);
  EXPECT_LE(until_common(*first, seconds(5)), milliseconds(620));
}

TEST_F(WholeCluster, OneNodeThatTheCarrierFailsMovesAll) {
  raise(5, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  cut_.insert({4, *first});
  EXPECT_LE(until_common(*first, seconds(5)), milliseconds(900));
  pass(seconds(20));
  EXPECT_EQ(common(), 1 - *first) << "it stays there, because the other one serves all";
}

TEST_F(WholeCluster, WhereNoGatewayServesAllNodesTheCarrierDoesNotChangeAgainAndAgain) {
  raise(5, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  cut_.insert({3, 1 - *first});
  pass(seconds(2));
  cut_.insert({4, *first});
  unsigned changes = 0;
  auto before = accepted();
  for (int n = 0; n < 3000; ++n) {  // half a minute
    step();
    if (accepted() != before) ++changes;
    before = accepted();
  }
  EXPECT_LE(changes, 6U);
}

TEST_F(WholeCluster, ADrainingCarrierGivesItsTrafficAwayWithoutLoss) {
  raise(5, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  gateways_[*first].draining = true;
  Duration longest_hold{};
  std::map<std::size_t, TimePoint> held_since;
  for (int n = 0; n < 200; ++n) {
    step();
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (nodes_[node].following.held().empty()) {
        held_since.erase(node);
        // To the gateway on the node itself nothing can be held.
        if (nodes_[node].self != 1 - *first) {
          EXPECT_EQ(carrier(node), accepted()) << "node " << node << " in step " << n;
        }
      } else {
        const auto since = held_since.emplace(node, now_).first->second;
        longest_hold = std::max(longest_hold, now_ - since);
      }
    }
  }
  EXPECT_EQ(common(), 1 - *first);
  EXPECT_LE(longest_hold, milliseconds(100));
  for (const auto& node : nodes_) EXPECT_EQ(node.following.unconfirmed(), 0U);
}

TEST_F(WholeCluster, ARestartedGatewayThatCarriesHearsItFromTheNodes) {
  raise(3, 2);
  pass(seconds(1));
  const auto first = common();
  ASSERT_TRUE(first.has_value());
  join(*first);
  pass(milliseconds(300));
  EXPECT_EQ(common(), first);
}

TEST_F(WholeCluster, WhenAllHaveForgottenTheClaimThatTheOtherSideHoldsIsOutbid) {
  raise(3, 2);
  pass(seconds(1));
  // Many changes: the other side holds a high epoch.
  for (int n = 0; n < 3; ++n) {
    const auto carries = common();
    ASSERT_TRUE(carries.has_value());
    gateways_[*carries].up = false;
    pass(seconds(2));
    gateways_[*carries].up = true;
    join(*carries);
    pass(seconds(8));
  }
  const auto nodes = nodes_.size();
  nodes_.clear();
  for (std::size_t n = 0; n < nodes; ++n) {
    nodes_.emplace_back();
    for (std::uint32_t g = 0; g < gateways_.size(); ++g) nodes_[n].sees[g] = true;
  }
  for (std::uint32_t g = 0; g < gateways_.size(); ++g) join(g);
  pass(seconds(3));
  EXPECT_TRUE(common().has_value());
}

TEST(Election, ALowerOrdinalWinsAmongEqualEpochs) {
  EXPECT_TRUE(newer({0, 2}, {1, 2}));
  EXPECT_FALSE(newer({1, 2}, {0, 2}));
  EXPECT_TRUE(newer({1, 3}, {0, 2}));
}

TEST(Election, OnlyNodesOfTheClusterVote) {
  Elections elections;
  elections.set_electorate({0, {"n1"}, {}}, TimePoint{});
  const ClaimKey key{"west", {}};
  EXPECT_EQ(elections.vote(key, "stranger", {{0, 1}}, TimePoint{}).held.epoch, 0U);
  EXPECT_EQ(elections.vote(key, "n1", {{0, 1}}, TimePoint{}).held.epoch, 1U);
}

}  // namespace
}  // namespace cw::homing
