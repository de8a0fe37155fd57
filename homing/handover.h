// How a change of gateway happens, and what this node claims (homing/claims.h).
//
// The carrier is gone: at once; the claim goes to all gateways with it. The carrier still works (it
// drains, or a better one ended its hold-down): a handover that loses nothing. WireGuard accepts a
// source from one peer only, so remote gateways must change over between the last packet through
// the old carrier and the first through the new one:
//   1. packets are held on this node (netlink/hold.h);
//   2. the old carrier is told, and tells the remote gateways inside the tunnels, behind the last
//      packet; they change over and confirm;
//   3. it confirms to us ("settled"): the held packets go to the new carrier.
// Without a confirmation within `patience` the held packets go anyway. Pure: time is an argument.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "homing/changeover.h"
#include "homing/probe_claims.h"

namespace cw::homing {

class Handovers : public Changeover {
 public:
  explicit Handovers(Duration patience = std::chrono::milliseconds(600)) : patience_(patience) {}

  void want(const Wanted& wanted, TimePoint now) override;
  void fill(std::uint32_t to, tunnel::Probe& request) override;
  void hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now) override;
  void forget(std::uint32_t from) override;
  void tick(TimePoint now) override;

  // The Chooser's choices: packets go there.
  [[nodiscard]] std::map<ChoiceKey, Choice> carriers(const std::map<ChoiceKey, Choice>& choices,
                                                     WallTime) override {
    return choices;
  }
  [[nodiscard]] std::set<ChoiceKey> held() const override;
  [[nodiscard]] std::set<std::uint32_t> handed_over_from() const override;
  [[nodiscard]] std::set<std::uint32_t> take_urgent() override;
  [[nodiscard]] unsigned unconfirmed() const override { return unconfirmed_; }
  [[nodiscard]] const Claims& claims() const { return claims_; }

 private:
  struct Handover {
    std::uint32_t from = 0;
    TimePoint until{};
    ClaimKey key;  // not settled yet
  };
  void change(const ChoiceKey& choice, const ClaimKey& key, const Wanted& wanted, TimePoint now);
  void outbid(const ClaimKey& key, const Claim& theirs, TimePoint now);
  void finish(const ChoiceKey& choice);
  [[nodiscard]] bool withheld_from(std::uint32_t to, const ClaimKey& key) const;

  Duration patience_;
  std::map<ChoiceKey, std::uint32_t> carriers_;
  std::map<ChoiceKey, Handover> handovers_;
  std::set<std::uint32_t> gateways_;
  Claims claims_;
  std::map<ClaimKey, TimePoint> outbid_;  // when last
  ClaimSender sender_;
  std::set<std::uint32_t> urgent_;
  unsigned unconfirmed_ = 0;
};

}  // namespace cw::homing
