// Property test of homing: two clusters of random shape, and random failures. Both sides consist of
// the product's own parts: the nodes' Chooser and Handovers, the gateways' ClaimTable and
// placement. Nodes have several blocks, which come, go and move. Once all parties have exchanged
// their claims, packets are followed from each block of a node to each block of another one.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "homing/choose.h"
#include "homing/claim_table.h"
#include "homing/handover.h"
#include "homing/place.h"

namespace cw::homing {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Node {
  std::string name;
  std::vector<Prefix> blocks;  // one at least
  std::vector<bool> links;     // whether its path to each gateway works
  Chooser chooser{minutes(2)};
  std::unique_ptr<Handovers> mover = std::make_unique<Handovers>();
  std::optional<std::uint32_t> carrier;
};

struct Gate {
  bool alive = true;
  bool forwards = true;
  ClaimTable board;
  Placement placement;
};

struct Side {
  std::string id;
  std::vector<Node> nodes;
  std::vector<Gate> gates;

  [[nodiscard]] RemoteCluster as_remote() const {
    RemoteCluster cluster;
    for (const auto& node : nodes) {
      cluster.nodes[node.name] = node.blocks;
      cluster.cidrs.insert(cluster.cidrs.end(), node.blocks.begin(), node.blocks.end());
    }
    for (std::uint32_t n = 0; n < gates.size(); ++n) {
      std::array<std::uint8_t, 32> key{static_cast<std::uint8_t>(n + 1)};
      cluster.gateways[n].key = tunnel::Key(key);
      if (n < nodes.size()) cluster.gateways[n].node = nodes[n].name;
    }
    return cluster;
  }
};

struct Hop {
  std::uint32_t out = 0;  // gateway of the sender
  std::uint32_t in = 0;   // gateway of the receiver
  friend bool operator==(const Hop&, const Hop&) = default;
};

class World {
 public:
  explicit World(std::uint32_t seed) : dice_(seed) {
    for (unsigned s = 0; s < 2; ++s) {
      auto& side = sides_[s];
      side.id = s == 0 ? "east" : "west";
      side.gates.resize(1 + dice_() % 4);
      side.nodes.resize(side.gates.size() + dice_() % 5);
      for (std::size_t n = 0; n < side.nodes.size(); ++n) {
        side.nodes[n].name = "worker-" + std::to_string(n);
        new_block(s, side.nodes[n]);
        side.nodes[n].links.assign(side.gates.size(), true);
      }
    }
    tunnels_.assign(sides_[0].gates.size(), std::vector<bool>(sides_[1].gates.size(), true));
  }

  std::mt19937& dice() { return dice_; }
  Side& side(unsigned s) { return sides_[s]; }
  // A block that no node has.
  void new_block(unsigned s, Node& node) {
    const auto number = std::to_string(++blocks_);
    node.blocks.push_back(*Prefix::parse("10." + std::to_string(s + 1) + "." + number + ".0/24"));
  }
  // A new block, one that is given back, one that moves to another node, or a borrowed address.
  void change_blocks(unsigned s) {
    auto& nodes = sides_[s].nodes;
    auto& node = nodes[dice_() % nodes.size()];
    auto& other = nodes[dice_() % nodes.size()];
    const auto kind = dice_() % 4;
    if (kind == 0) {
      new_block(s, node);
    } else if (kind == 1) {
      const auto address = Prefix::host(node.blocks[dice_() % node.blocks.size()].address());
      for (auto& one : nodes) {  // whoever borrowed it before has given it back
        std::erase(one.blocks, address);
        if (one.blocks.empty()) new_block(s, one);
      }
      if (&node != &other) other.blocks.push_back(address);
    } else if (node.blocks.size() > 1) {
      const auto block = node.blocks.back();
      node.blocks.pop_back();
      if (kind == 2 && &node != &other) other.blocks.push_back(block);
    }
    for (auto& one : nodes) {
      std::sort(one.blocks.begin(), one.blocks.end());
      one.blocks.erase(std::unique(one.blocks.begin(), one.blocks.end()), one.blocks.end());
    }
  }
  void cut_tunnel(std::size_t a, std::size_t b) { tunnels_[a][b] = false; }

  [[nodiscard]] bool tunnel(unsigned from, std::size_t a, std::size_t b) const {
    const auto& here = sides_[from].gates[a];
    const auto& there = sides_[1 - from].gates[b];
    return here.alive && there.alive && (from == 0 ? tunnels_[a][b] : tunnels_[b][a]);
  }
  // Whether a gateway that the node reaches forwards and has a tunnel.
  [[nodiscard]] bool served(unsigned s, const Node& node) const {
    for (std::size_t g = 0; g < sides_[s].gates.size(); ++g) {
      const auto& gate = sides_[s].gates[g];
      bool any = false;
      for (std::size_t r = 0; r < sides_[1 - s].gates.size(); ++r) any = any || tunnel(s, g, r);
      if (gate.alive && gate.forwards && node.links[g] && any) return true;
    }
    return false;
  }

  // All parties probe, claim and answer until nothing changes.
  void converge() {
    now_ += minutes(5);  // hold-downs are over
    for (int round = 0; round < 12; ++round) {
      now_ += seconds(1);
      for (unsigned s = 0; s < 2; ++s) {
        for (auto& gate : sides_[s].gates) {
          std::map<std::string, std::vector<Prefix>> own;
          for (const auto& node : sides_[s].nodes) own[node.name] = node.blocks;
          gate.board.set_world(own, {{sides_[1 - s].id, sides_[1 - s].as_remote()}}, now_);
        }
        for (auto& node : sides_[s].nodes) look(s, node);
        for (std::uint32_t g = 0; g < sides_[s].gates.size(); ++g) tell(s, g);
      }
      for (unsigned s = 0; s < 2; ++s) {
        for (std::uint32_t g = 0; g < sides_[s].gates.size(); ++g) place(s, g);
      }
    }
  }

  // The gateways on the path of packets between all blocks of two nodes. None: one is lost, or two
  // take different paths.
  [[nodiscard]] std::optional<Hop> send(unsigned s, const Node& from, const Node& to) const {
    std::optional<Hop> way;
    for (const auto& source : from.blocks) {
      for (const auto& target : to.blocks) {
        const auto hop = send(s, {from, source}, {to, target});
        if (!hop || (way && !(*way == *hop))) return std::nullopt;
        way = hop;
      }
    }
    return way;
  }
  struct Pod {
    const Node& node;
    const Prefix& block;
  };
  [[nodiscard]] std::optional<Hop> send(unsigned s, const Pod& from, const Pod& to) const {
    if (!from.node.carrier) return std::nullopt;
    const auto g = *from.node.carrier;
    const auto& out = sides_[s].gates[g];
    if (!out.alive || !out.forwards || !from.node.links[g]) return std::nullopt;
    const auto at = out.placement.find(to.block);
    if (at == out.placement.end()) return std::nullopt;
    const auto r = at->second.ordinal;
    const auto& in = sides_[1 - s].gates[r];
    if (!tunnel(s, g, r)) return std::nullopt;
    const auto source = in.placement.find(from.block);  // WireGuard's source check
    if (source == in.placement.end() || source->second.ordinal != g) return std::nullopt;
    if (!in.forwards || !to.node.links[r]) return std::nullopt;
    return Hop{g, r};
  }

  // An attacker has gateway `g` of side `s` for a moment. It sends false claims to remote gateways,
  // and answers nodes and remote gateways with false claims.
  void poison(unsigned s, std::uint32_t g) {
    auto& side = sides_[s];
    auto& far = sides_[1 - s];
    const auto& victim = side.nodes[dice_() % side.nodes.size()];
    const auto lie = [&](const std::string& cluster) {
      constexpr std::array kEpochs{std::uint64_t{3}, std::uint64_t{1000}, kMaxEpoch - 1, kMaxEpoch,
                                   ~std::uint64_t{0}};
      tunnel::Probe probe;
      put_claims({{{cluster, {owner_id(victim.name), Family::kV4}},
                   {static_cast<std::uint32_t>(dice_() % side.gates.size()),
                    kEpochs[dice_() % kEpochs.size()]},
                   false}},
                 probe);
      return probe;
    };
    tunnel::Probe unused;
    for (auto& gate : far.gates) {
      (void)gate.board.from_remote({side.id, g}, {true, now_}, lie({}), unused);
    }
    for (auto& node : side.nodes) node.mover->hear(g, lie(far.id), now_);
    for (auto& gate : side.gates) {
      gate.board.hear({far.id, static_cast<std::uint32_t>(dice_() % far.gates.size())}, now_,
                      lie({}));
    }
  }
  // A restart loses the memory.
  void restart_gateway(unsigned s, std::uint32_t g) {
    sides_[s].gates[g].board = {};
    for (auto& gate : sides_[1 - s].gates) gate.board.forget({sides_[s].id, g});
    for (auto& node : sides_[s].nodes) node.mover->forget(g);
  }
  static void restart_agent(Node& node) {
    node.mover = std::make_unique<Handovers>();
    node.chooser = Chooser{minutes(2)};
  }

 private:
  void look(unsigned s, Node& node) {
    const auto& far = sides_[1 - s];
    ChooseInput input;
    input.owner = {sides_[s].id, node.name};
    input.families = {Family::kV4};
    input.remotes = {far.id};
    const ChoiceKey key{far.id, Family::kV4};
    for (std::uint32_t g = 0; g < sides_[s].gates.size(); ++g) {
      const auto& gate = sides_[s].gates[g];
      GatewayInput seen;
      seen.ordinal = g;
      seen.usable = gate.alive && node.links[g];
      for (std::size_t r = 0; r < far.gates.size(); ++r) {
        if (tunnel(s, g, r)) seen.reaches.insert(far.id);
      }
      if (g < sides_[s].nodes.size()) seen.node = sides_[s].nodes[g].name;
      (seen.usable && gate.forwards && !seen.reaches.empty() ? seen.forwards : seen.not_forwarding)
          .insert(key);
      input.gateways.push_back(std::move(seen));
    }
    const auto& choices = node.chooser.update(input, now_, WallTime{});
    node.carrier = choices.at(key).ordinal;
    node.mover->want({choices, input, {}}, now_);
    node.mover->tick(now_ + seconds(1));  // no handover takes longer
    for (std::uint32_t g = 0; g < sides_[s].gates.size(); ++g) {
      auto& gate = sides_[s].gates[g];
      if (!gate.alive || !node.links[g]) continue;
      tunnel::Probe request;
      tunnel::Probe reply;
      node.mover->fill(g, request);
      (void)gate.board.from_node(node.name, {true, now_}, request, {}, reply);
      node.mover->hear(g, reply, now_);
    }
  }
  void tell(unsigned s, std::uint32_t g) {
    for (std::uint32_t r = 0; r < sides_[1 - s].gates.size(); ++r) {
      if (!tunnel(s, g, r)) continue;
      tunnel::Probe request;
      tunnel::Probe reply;
      const GatewayId to{sides_[1 - s].id, r};
      sides_[s].gates[g].board.fill(to, now_, request);
      (void)sides_[1 - s].gates[r].board.from_remote({sides_[s].id, g}, {true, now_}, request,
                                                     reply);
      sides_[s].gates[g].board.hear(to, now_, reply);
    }
  }
  void place(unsigned s, std::uint32_t g) {
    auto& gate = sides_[s].gates[g];
    const auto& far = sides_[1 - s];
    Standings standings;
    for (std::uint32_t r = 0; r < far.gates.size(); ++r) {
      if (tunnel(s, g, r)) standings.working.insert({far.id, r});
    }
    standings.claimed = gate.board.remote();
    gate.placement = placement_of({{far.id, far.as_remote()}}, standings, gate.placement);
  }

  std::mt19937 dice_;
  std::array<Side, 2> sides_;
  std::vector<std::vector<bool>> tunnels_;
  TimePoint now_{std::chrono::hours(1)};
  unsigned blocks_ = 0;
};

// Calls `check` for every pair of nodes that have a gateway which can serve them.
template <typename Check>
void each_pair(World& world, const Check& check) {
  for (auto& a : world.side(0).nodes) {
    for (auto& b : world.side(1).nodes) {
      if (world.served(0, a) && world.served(1, b)) {
        check(world.send(0, a, b), world.send(1, b, a));
      }
    }
  }
}

void break_something(World& world) {
  const unsigned s = world.dice()() % 2;
  auto& side = world.side(s);
  const auto g = world.dice()() % side.gates.size();
  switch (world.dice()() % 4) {
    case 3:
      world.change_blocks(s);
      break;
    case 0:
      side.gates[g].alive = !side.gates[g].alive;
      break;
    case 1:
      side.gates[g].forwards = !side.gates[g].forwards;
      break;
    default: {
      auto links = side.nodes[world.dice()() % side.nodes.size()].links.begin() +
                   static_cast<std::ptrdiff_t>(g);
      *links = !*links;
    }
  }
}

TEST(Homing, WithWholeGatewaysAndPathsOfNodesLostEveryServedPairIsJoinedSymmetrically) {
  unsigned pairs = 0;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    for (int change = 0; change < 6; ++change) {
      world.converge();
      each_pair(world, [&](const auto& there, const auto& back) {
        ++pairs;
        ASSERT_TRUE(there && back) << "seed " << seed << " change " << change;
        ASSERT_EQ(there->out, back->in) << "seed " << seed;
        ASSERT_EQ(there->in, back->out) << "seed " << seed;
      });
      if (HasFatalFailure()) return;
      break_something(world);
    }
  }
  EXPECT_GT(pairs, 5000U);
}

// No node decides or claims anything because of it.
TEST(Homing, BlocksThatComeGoAndMoveChangeNoCarrierAndNoClaim) {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    World world(seed);
    world.converge();
    std::vector<Claims> claims;
    for (unsigned s = 0; s < 2; ++s) {
      for (const auto& node : world.side(s).nodes) claims.push_back(node.mover->claims());
    }
    for (int change = 0; change < 10; ++change) {
      for (unsigned s = 0; s < 2; ++s) world.change_blocks(s);
      world.converge();
      each_pair(world, [&](const auto& there, const auto& back) {
        ASSERT_TRUE(there && back) << "seed " << seed << " change " << change;
        ASSERT_EQ(there->out, back->in) << "seed " << seed;
        ASSERT_EQ(there->in, back->out) << "seed " << seed;
      });
      if (HasFatalFailure()) return;
    }
    auto before = claims.begin();
    for (unsigned s = 0; s < 2; ++s) {
      for (const auto& node : world.side(s).nodes) EXPECT_EQ(node.mover->claims(), *before++);
    }
  }
}

TEST(Homing, OneTunnelLostInTheMeshIsGoneAround) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    if (world.side(0).gates.size() < 2 || world.side(1).gates.size() < 2) continue;
    world.converge();
    world.cut_tunnel(world.dice()() % world.side(0).gates.size(),
                     world.dice()() % world.side(1).gates.size());
    world.converge();
    each_pair(world, [&](const auto& there, const auto& back) {
      ASSERT_TRUE(there && back) << "seed " << seed;
    });
    if (HasFatalFailure()) return;
  }
}

TEST(Homing, OnlyWhatTheLostGatewayCarriedMovesAndItComesBack) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    auto& side = world.side(0);
    if (side.gates.size() < 2) continue;
    world.converge();
    std::vector<std::optional<std::uint32_t>> before;
    for (const auto& node : side.nodes) before.push_back(node.carrier);
    const auto lost = static_cast<std::uint32_t>(world.dice()() % side.gates.size());
    auto& gate = side.gates[lost];
    (seed % 2 == 0 ? gate.alive : gate.forwards) = false;
    world.converge();
    for (std::size_t n = 0; n < side.nodes.size(); ++n) {
      if (before[n] == lost) {
        EXPECT_NE(side.nodes[n].carrier, lost) << seed;
      } else {
        EXPECT_EQ(side.nodes[n].carrier, before[n]) << seed;
      }
    }
    gate.alive = gate.forwards = true;
    world.converge();
    world.converge();
    for (std::size_t n = 0; n < side.nodes.size(); ++n) {
      EXPECT_EQ(side.nodes[n].carrier, before[n]) << seed;
    }
  }
}

// False claims of compromised gateways, restarts of agents and gateways, and losses, in any order.
// Once those gateways are honest again, every pair is connected.
TEST(Homing, PoisonedClaimsHealByThemselvesAlsoAcrossRestarts) {
  unsigned pairs = 0;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    World world(seed);
    world.converge();
    for (int change = 0; change < 6; ++change) {
      const unsigned s = world.dice()() % 2;
      auto& side = world.side(s);
      const auto g = static_cast<std::uint32_t>(world.dice()() % side.gates.size());
      switch (world.dice()() % 4) {
        case 0:
          world.restart_gateway(s, g);
          break;
        case 1:
          World::restart_agent(side.nodes[world.dice()() % side.nodes.size()]);
          break;
        case 2:
          break_something(world);
          break;
        default:
          break;
      }
      world.poison(s, g);
      world.converge();
      each_pair(world, [&](const auto& there, const auto& back) {
        ++pairs;
        ASSERT_TRUE(there && back) << "seed " << seed << " change " << change;
        ASSERT_EQ(there->out, back->in) << "seed " << seed;
        ASSERT_EQ(there->in, back->out) << "seed " << seed;
      });
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(pairs, 5000U);
}

}  // namespace
}  // namespace cw::homing
