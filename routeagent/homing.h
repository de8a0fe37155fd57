// Decides which gateway carries this node's traffic to each remote cluster, from what the probes
// say, and brings the change about: handovers, and claims in probes. A decision needs memory and
// probes only, so no packet waits for the store. Loop thread only.
#pragma once

#include "api/store/switch_events.h"
#include "homing/changeover.h"
#include "routeagent/gateway_probes.h"
#include "routeagent/troubles.h"

namespace cw::routeagent {

using homing::ChooseInput;

class Homing {
 public:
  struct Hooks {
    std::function<void()> on_verdict;  // decide() may decide something else; must not call probe()
    std::function<void(const api::SwitchNote&)> on_switch;
  };
  Homing(const Deps& deps, Troubles& troubles, Hooks hooks);

  // Probes the gateways of `seen`, and remote gateways through them.
  void probe(const Seen& seen);
  // The decision for `seen` and the probes of now. Before the probes mean something, the last
  // choices stay.
  const Decision& decide(const Seen& seen);
  // The last one.
  [[nodiscard]] const Decision& decision() const { return decision_; }
  // Probes the gateways that must hear a new claim, and watches handovers.
  void spread();
  // For each remote cluster: does a gateway that answers this node reach it? None: the probes mean
  // nothing yet.
  [[nodiscard]] std::optional<std::map<std::string, bool>> reach(const Seen& seen);
  // The probes of this cluster's gateways.
  [[nodiscard]] const GatewayProbes& probes() const { return probes_; }

 private:
  [[nodiscard]] tunnel::ProberHooks prober_hooks();
  [[nodiscard]] std::vector<GatewayInput> gateways(const Seen& seen);
  void choose(const Seen& seen, TimePoint now);
  void show(const std::vector<GatewayInput>& gateways);
  void set_path_mtu(std::map<ChoiceKey, std::uint32_t> path_mtu);
  void receive(std::uint32_t ordinal, const tunnel::Probe& reply);
  void pace_handover();

  Loop& loop_;
  Troubles& troubles_;
  Hooks hooks_;
  Counter& switches_;
  Counter& unconfirmed_;
  homing::Chooser chooser_;
  std::unique_ptr<homing::Changeover> changeover_;
  bool whole_ = false;  // changeover_ is that of a node without prefixes of its own
  std::map<ChoiceKey, Choice> carriers_;
  GatewayProbes probes_;
  ForwardingProbes forwarding_;
  Decision decision_;
  Handle hold_timer_;
  Handle handover_timer_;
};

}  // namespace cw::routeagent
