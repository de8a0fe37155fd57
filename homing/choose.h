// Which local gateway carries this node's traffic to each remote cluster: the node's home
// (homing/order.h) among the gateways that are usable for that cluster. A gateway
// that came back is preferred again only after a hold-down, so that a flapping one moves nothing.
// Everything it knows is an argument, time included; it remembers hold-downs and its last choices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"
#include "homing/health.h"
#include "homing/hold_down.h"
#include "homing/owner.h"

namespace cw::homing {

struct Choice {
  std::optional<std::uint32_t> ordinal;  // none: no gateway reaches the cluster
  std::string reason;
  WallTime since{};  // when `ordinal` last changed
  friend bool operator==(const Choice&, const Choice&) = default;
};

struct ChooseInput {
  PrefixOwner owner;              // this node
  std::set<Family> families;      // of its pod prefixes
  std::set<std::string> remotes;  // remote cluster ids
  std::vector<GatewayInput> gateways;
};

struct Silence {
  std::string text;     // what does not work, and the remedy
  bool certain = true;  // false: a gateway of this node may forward, which no probe of it can tell
  friend bool operator==(const Silence&, const Silence&) = default;
};

// The remote clusters and families to which no gateway forwards: every gateway that reaches the
// cluster was probed, and no probe came back. A gateway of this node cannot be probed from here.
// Where all others are silent the result says so and is not certain: in a cluster whose nodes are
// all gateway nodes nothing else tells it.
[[nodiscard]] std::map<ChoiceKey, Silence> silent_everywhere(const ChooseInput& input);

class Chooser {
 public:
  explicit Chooser(Duration hold_down) : hold_down_(hold_down) {}

  // The choices for `input`, one for each remote cluster and family: the best health (health.h),
  // and in the home order among equals. A good gateway in its hold-down comes right after the other
  // good ones. If no gateway carries, the last carrier keeps the traffic if it is merely silent: a
  // gateway that answers "I do not reach it" confirms the loss.
  const std::map<ChoiceKey, Choice>& update(const ChooseInput& input, TimePoint now, WallTime wall);
  [[nodiscard]] const std::map<ChoiceKey, Choice>& choices() const { return choices_; }
  // When a hold-down ends next, to update() again then.
  [[nodiscard]] std::optional<TimePoint> next_end(TimePoint now) const;

 private:
  struct StandingKey {
    ChoiceKey choice;
    std::uint32_t ordinal = 0;
    friend auto operator<=>(const StandingKey&, const StandingKey&) = default;
  };

  void watch(const ChooseInput& input, TimePoint now);
  [[nodiscard]] bool held(const StandingKey& key, TimePoint now) const;
  [[nodiscard]] Choice choice(const ChooseInput& input, const ChoiceKey& key,
                              std::optional<std::uint32_t> current, TimePoint now) const;

  Duration hold_down_;
  std::map<StandingKey, HoldDown> hold_downs_;
  std::map<ChoiceKey, Choice> choices_;
};

}  // namespace cw::homing
