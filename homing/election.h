// Which gateway carries the prefixes of the cluster as a whole, as its gateways decide from what
// the nodes say (docs/protocol/whole-cluster.md). A remote gateway accepts a
// source from one tunnel only, so all nodes must send through the same gateway. A node says in its
// probes which claim it follows, or which gateway it wishes instead and whether the present carrier
// fails it. Two ways lead to another carrier:
//   * It fails a node. The gateway that the node wishes elects itself, if more nodes object than it
//     does not hear.
//   * It works. It gives its traffic away once all nodes wish the same gateway, and hold packets.
// Every gateway and every node takes the claim with the highest epoch. So there is no vote to count
// and no leader. Pure: time is an argument.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/loop.h"
#include "homing/claims.h"

namespace cw::homing {

// Whether `a` replaces `b` as the claim of a cluster: by the higher epoch, then the lower ordinal.
[[nodiscard]] bool newer(const Claim& a, const Claim& b);

// What one node says about one choice.
struct Vote {
  Claim claim;           // the one it follows, or the one it wishes
  bool follows = false;  // it sends through claim.ordinal
  bool objects = false;  // a wish: the present carrier does not carry for this node
  bool holds = false;    // a wish: the node's packets wait
};

// Who may vote, and where the gateways are.
struct Electorate {
  std::uint32_t self = 0;  // this gateway
  std::set<std::string> nodes;
  std::map<std::uint32_t, std::string> gateway_nodes;
};

class Elections {
 public:
  struct Result {
    Claim held;            // epoch 0: none yet
    bool changed = false;  // by this vote
    bool prepare = false;  // the node should hold its packets now
  };

  void set_electorate(Electorate electorate, TimePoint now);
  // Keys for which `stays` is false are forgotten.
  template <typename Stays>
  void keep_only(const Stays& stays) {
    std::erase_if(elections_, [&](const auto& one) { return !stays(one.first); });
  }
  Result vote(const ClaimKey& key, const std::string& node, const Vote& vote, TimePoint now);
  // Without a vote: what is held.
  [[nodiscard]] Claim held(const ClaimKey& key) const;

 private:
  struct Word {
    Vote vote;
    TimePoint at{};
  };
  struct Election {
    Claim held;
    std::map<std::string, Word> words;     // by node
    std::optional<TimePoint> prepares;     // since when nodes are told to hold packets
    std::optional<TimePoint> last_forced;  // when this gateway last elected itself unheard by some
    Duration pause = Duration::zero();     // before it does so again
  };
  // How many nodes object to the carrier and wish this gateway, and how many it does not hear.
  struct Tally {
    std::size_t objecting = 0;
    std::size_t unheard = 0;  // for a moment; they count
    std::size_t lost = 0;     // for long; they do not count
  };
  [[nodiscard]] Tally tally(const Election& election, TimePoint now) const;
  [[nodiscard]] bool may_take_over(Election& election, TimePoint now) const;
  [[nodiscard]] static bool all_wish(const Election& election, std::uint32_t ordinal, bool held,
                                     TimePoint now);
  void decide(Election& election, const Vote& vote, TimePoint now) const;

  Electorate electorate_;
  std::optional<TimePoint> since_;  // of the first electorate
  std::map<ClaimKey, Election> elections_;
};

}  // namespace cw::homing
