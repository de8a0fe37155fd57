// Which local gateway carries this node's traffic to each remote cluster: the home of the node's
// own pod prefix (api/homing) among the gateways that are usable for that cluster. A gateway that
// came back is preferred again only after a hold-down, so that a flapping one moves nothing.
// Everything it knows is an argument, time included; it remembers only who came back when.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/prefix.h"

namespace cw::routeagent {

// Families are chosen apart: a node has one pod prefix in each, with a home of its own.
struct ChoiceKey {
  std::string cluster;  // remote
  Family family = Family::kV4;
  friend auto operator<=>(const ChoiceKey&, const ChoiceKey&) = default;
};

// A gateway of this cluster as this node sees it now.
struct GatewayInput {
  std::uint32_t ordinal = 0;
  bool here = false;                  // on this node: no probe of this node goes through it
  bool usable = false;                // answers our probes and can forward
  bool answers = false;               // does, but fell too lately to be usable (damping)
  std::string trouble = "is down";    // why it is not usable, after "gateway N "
  bool draining = false;              // by its own word
  std::set<std::string> reaches;      // remote clusters it says it reaches
  std::set<std::string> loses = {};   // of these, those on the way to which much is lost
  std::vector<Prefix> own_prefixes;   // its own node's pod prefixes
  std::set<ChoiceKey> forwards = {};  // answers came through it (tunnel/probe/path_detector.h)
  std::set<ChoiceKey> silent = {};    // none came through it; means something if they do elsewhere
};

struct Choice {
  std::optional<std::uint32_t> ordinal;  // none: nobody reaches the cluster
  std::string reason;
  WallTime since{};  // when `ordinal` last changed
  friend bool operator==(const Choice&, const Choice&) = default;
};

struct ChooseInput {
  std::string cluster;             // this cluster's id: part of the homing hash
  std::map<Family, Prefix> homed;  // this node's pod prefix of each family
  std::set<std::string> remotes;   // remote cluster ids
  std::vector<GatewayInput> gateways;
};

// Nothing comes through `gateway`, and it is its fault: it does through another one that works.
// Where nothing comes through any, nobody is worse than the others.
[[nodiscard]] bool does_not_forward(const std::vector<GatewayInput>& gateways,
                                    const GatewayInput& gateway, const ChoiceKey& choice);

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

  // The choices for `input`, one for each remote cluster and family. Order of preference: good
  // gateways in home order; then good ones in hold-down; then those whose links lose much; then
  // draining ones; then those that answer but fell too lately to be trusted; then those through
  // which nothing comes while it does through another; then the one that carried it last, if it is
  // merely silent (a gateway that answers "I do not reach it" confirms the loss).
  const std::map<ChoiceKey, Choice>& update(const ChooseInput& input, TimePoint now, WallTime wall);
  [[nodiscard]] const std::map<ChoiceKey, Choice>& choices() const { return choices_; }
  // When a hold-down ends next, to update() again then.
  [[nodiscard]] std::optional<TimePoint> next_end(TimePoint now) const;

 private:
  // One gateway's standing towards one remote cluster and family. Good: usable, reaching it without
  // losing much, forwarding to it, not draining.
  struct Standing {
    bool good = false;
    bool ever_good = false;
    bool held = false;  // came back while another gateway had taken over
    TimePoint good_since{};
  };
  struct StandingKey {
    ChoiceKey choice;
    std::uint32_t ordinal = 0;
    friend auto operator<=>(const StandingKey&, const StandingKey&) = default;
  };

  void judge(const ChooseInput& input, TimePoint now);
  [[nodiscard]] bool in_hold_down(const StandingKey& key, TimePoint now) const;
  [[nodiscard]] Choice choice(const ChooseInput& input, const ChoiceKey& key, const Prefix& prefix,
                              std::optional<std::uint32_t> current, TimePoint now) const;

  Duration hold_down_;
  std::map<StandingKey, Standing> standings_;
  std::map<ChoiceKey, Choice> choices_;
};

}  // namespace cw::routeagent
