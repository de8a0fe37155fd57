// What a gateway still has to tell the remote gateways of its nodes' claims (docs/protocol/
// homing.md, "Claims"): to each remote gateway first what is news to it, then in turns what it is
// known to have, so that one who forgot everything knows all again soon. A gateway that takes over
// hears thousands of claims within a moment; the cost of each is the same however many there are,
// and none is said again before its answer can be here. Pure.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "homing/claims.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

class ClaimRelay {
 public:
  // Our nodes' claims towards one remote cluster.
  using Claims = std::map<Share, Claim>;
  // What was not answered is said again after so long, half a probe full at a time: the rest is for
  // the turns. (A remote cluster may never accept some of our nodes.)
  static constexpr Duration kAgain = std::chrono::milliseconds(25);

  // The remote gateways now. Everything is news to those that were not there.
  void set_targets(const std::set<GatewayId>& targets);
  // The claim of `share` towards `cluster` is another one.
  void changed(const std::string& cluster, const Share& share);
  // There is none any more.
  void lost(const std::string& cluster, const Share& share);

  // At most `limit` of `claims` for the next probe to `target`.
  [[nodiscard]] std::vector<Share> pick(const GatewayId& target, const Claims& claims,
                                        std::size_t limit, TimePoint now);
  // There may be news that `target` should hear now.
  [[nodiscard]] bool due(const GatewayId& target, TimePoint now) const;

  // `target` answered that it holds `claim`.
  void heard(const GatewayId& target, const Share& share, const Claim& claim);
  // `target` knows our `claim` and holds another one above it: ours is no news to it any more.
  void overruled(const GatewayId& target, const Share& share, const Claim& claim);
  [[nodiscard]] bool holds(const GatewayId& target, const Share& share, const Claim& claim) const;
  // `target` has forgotten everything.
  void forget(const GatewayId& target);

 private:
  struct Answer {
    Claim claim;  // ours
    bool holds = false;
  };
  struct Said {
    Share share;
    TimePoint at{};
  };
  struct Target {
    bool all = true;  // is news, and stands in no list yet
    std::map<Share, Answer> answers;
    std::deque<Share> news;              // not said yet, the oldest first
    std::set<Share> listed;              // in `news`
    std::deque<Said> said;               // and perhaps not answered, the oldest first
    std::map<Share, TimePoint> said_at;  // for the last time; other entries of `said` are old
    TimePoint next_again{};
    Share last;  // where the turns are
  };
  static void list(Target& target, const Share& share);
  static void say(Target& target, const Share& share, TimePoint now, std::vector<Share>& picked);
  static bool knows(const Target& target, const Share& share, const Claim& claim);
  static void pick_news(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                        std::vector<Share>& picked);
  static void pick_again(Target& target, const Claims& claims, std::size_t limit, TimePoint now,
                         std::vector<Share>& picked);
  static void pick_turns(Target& target, const Claims& claims, std::size_t limit,
                         std::vector<Share>& picked);

  std::map<GatewayId, Target> targets_;
};

}  // namespace cw::homing
