// The node's part in the choice of the gateway that carries the cluster as a whole (election.h).
// The node follows the newest claim that a gateway answers. Its own Chooser only makes a wish:
//   * The carrier fails this node: the wish goes to all gateways, with an objection.
//   * It works: the wish goes to the carrier. When all nodes wish the same, the carrier tells them
//     to hold packets, gives its traffic away, and confirms ("settled") when every remote gateway
//     has moved. Then the packets go to the new carrier. Without that within `patience` they go
//     anyway, to the carrier that is followed then.
// Until the first answer packets go where the Chooser says; all nodes have the same order.
#pragma once

#include "homing/changeover.h"
#include "homing/probe_claims.h"

namespace cw::homing {

class Following : public Changeover {
 public:
  explicit Following(Duration patience = std::chrono::milliseconds(600)) : patience_(patience) {}

  void want(const Wanted& wanted, TimePoint now) override;
  void fill(std::uint32_t to, tunnel::Probe& request) override;
  void hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now) override;
  void forget(std::uint32_t from) override;
  void tick(TimePoint now) override;

  [[nodiscard]] std::map<ChoiceKey, Choice> carriers(const std::map<ChoiceKey, Choice>& choices,
                                                     WallTime wall) override;
  [[nodiscard]] std::set<ChoiceKey> held() const override;
  [[nodiscard]] std::set<std::uint32_t> handed_over_from() const override;
  [[nodiscard]] std::set<std::uint32_t> take_urgent() override;
  [[nodiscard]] unsigned unconfirmed() const override { return unconfirmed_; }

 private:
  struct Hold {
    std::uint32_t from = 0;  // the carrier that is being left
    TimePoint until{};
    bool real = true;  // false: packets to a gateway on this node cannot be held
  };
  struct State {
    Claim followed;  // epoch 0: none yet
    std::optional<std::uint32_t> wish;
    bool objects = false;
    bool own = false;         // the wish is the gateway on this node
    std::uint64_t least = 0;  // the epoch that stands in the way of ours
    std::optional<TimePoint> last_bid;
    Duration bid_pause = Duration::zero();
    std::optional<Hold> hold;
    // Since when the wish is as it is; none: the carrier is asked as often as any gateway. While a
    // wish is new, all nodes may soon wish the same.
    std::optional<TimePoint> new_since;
    [[nodiscard]] bool differs() const {
      return wish && (followed.epoch == 0 || *wish != followed.ordinal);
    }
  };
  [[nodiscard]] ProbeClaim word(std::uint32_t to, const ClaimKey& key, const State& state) const;
  void take(std::uint32_t from, const ProbeClaim& entry, State& state, TimePoint now);
  void outbid(const Claim& theirs, State& state, TimePoint now);
  void tell_all() { urgent_.insert(gateways_.begin(), gateways_.end()); }

  Duration patience_;
  std::map<ChoiceKey, State> states_;
  std::map<ChoiceKey, WallTime> since_;
  std::map<ChoiceKey, std::optional<std::uint32_t>> shown_;  // by carriers()
  std::set<std::uint32_t> gateways_;
  ClaimSender sender_;
  std::set<std::uint32_t> urgent_;
  unsigned unconfirmed_ = 0;
};

}  // namespace cw::homing
