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
#include <vector>

#include "homing/choose.h"
#include "homing/probe_claims.h"

namespace cw::homing {

class Handovers {
 public:
  explicit Handovers(Duration patience = std::chrono::milliseconds(600)) : patience_(patience) {}

  struct Wanted {
    const std::map<ChoiceKey, Choice>& choices;             // the Chooser's
    const ChooseInput& input;                               // what it chose from
    const std::map<Family, std::vector<Prefix>>& prefixes;  // of this node
    std::optional<std::uint32_t> self;                      // the gateway on this node
  };
  void want(const Wanted& wanted, TimePoint now);
  // The claims that a request to gateway `to` carries.
  void fill(std::uint32_t to, tunnel::Probe& request);
  // What gateway `from` holds.
  void hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now);
  // Gateway `from` started again, or does not know that it is us: it holds nothing of ours.
  void forget(std::uint32_t from);
  // Ends handovers whose patience is over.
  void tick(TimePoint now);

  // The choices whose packets are held now. `held` may be asked again after any call.
  [[nodiscard]] std::set<ChoiceKey> held() const;
  // The carriers that are being left now.
  [[nodiscard]] std::set<std::uint32_t> handed_over_from() const;
  // Gateways that should hear from us now; empties the set.
  [[nodiscard]] std::set<std::uint32_t> take_urgent();
  [[nodiscard]] const Claims& claims() const { return claims_; }
  // Handovers that ended without a confirmation, since the start.
  [[nodiscard]] unsigned unconfirmed() const { return unconfirmed_; }

 private:
  struct Handover {
    std::uint32_t from = 0;
    TimePoint until{};
    std::set<ClaimKey> open;  // not settled yet
  };
  void claim(const ChoiceKey& choice, std::uint32_t ordinal, const std::vector<Prefix>& prefixes);
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
