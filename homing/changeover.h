// How a change of this node's gateways happens, and what its probes say about it. Two forms:
// Handovers (handover.h), if this node has prefixes and decides alone; Following (following.h), if
// prefixes belong to the cluster as a whole and all nodes send through one gateway. Pure: time is
// an argument.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "homing/choose.h"
#include "tunnel/probe/packet.h"

namespace cw::homing {

class Changeover {
 public:
  struct Wanted {
    const std::map<ChoiceKey, Choice>& choices;  // the Chooser's
    const ChooseInput& input;                    // what it chose from
    std::optional<std::uint32_t> self;           // the gateway on this node
  };

  Changeover() = default;
  Changeover(const Changeover&) = delete;
  Changeover& operator=(const Changeover&) = delete;
  virtual ~Changeover() = default;

  virtual void want(const Wanted& wanted, TimePoint now) = 0;
  // What a request to gateway `to` says.
  virtual void fill(std::uint32_t to, tunnel::Probe& request) = 0;
  // What gateway `from` answers.
  virtual void hear(std::uint32_t from, const tunnel::Probe& reply, TimePoint now) = 0;
  // Gateway `from` started again, or does not know that it is us: it holds nothing of ours.
  virtual void forget(std::uint32_t from) = 0;
  // Ends what has waited for too long.
  virtual void tick(TimePoint now) = 0;

  // Where packets go, given the Chooser's choices.
  [[nodiscard]] virtual std::map<ChoiceKey, Choice> carriers(
      const std::map<ChoiceKey, Choice>& choices, WallTime wall) = 0;
  // The choices whose packets are held now. Ask again after any call.
  [[nodiscard]] virtual std::set<ChoiceKey> held() const = 0;
  // The carriers that should be asked often now.
  [[nodiscard]] virtual std::set<std::uint32_t> handed_over_from() const = 0;
  // Gateways that should hear from us now; empties the set.
  [[nodiscard]] virtual std::set<std::uint32_t> take_urgent() = 0;
  // Handovers that ended without a confirmation, since the start.
  [[nodiscard]] virtual unsigned unconfirmed() const = 0;
};

}  // namespace cw::homing
