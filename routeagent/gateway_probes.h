// Probes of this cluster's gateways over cw-vx: it opens the prober, gives it the gateways, and
// says what homing needs to know of each. Loop thread only.
#pragma once

#include "routeagent/deps.h"

namespace cw::routeagent {

using homing::GatewayInput;
using tunnel::GatewayId;

// A gateway of this cluster, as a target of probes.
[[nodiscard]] GatewayId gateway_target(std::uint32_t ordinal);

class GatewayProbes {
 public:
  // `hooks` must not call reconcile(). Its on_change also comes when conclusive() becomes true.
  GatewayProbes(const Deps& deps, tunnel::ProberHooks hooks);

  // Probes the gateways of `seen`. A prober on a device that is gone ends.
  void reconcile(const Seen& seen);
  // Sends one more request to the gateway now.
  void ask_now(std::uint32_t ordinal);
  // False: the prober has not run for long enough to say which gateways are down.
  [[nodiscard]] bool conclusive(const Seen& seen);
  [[nodiscard]] tunnel::ProbeViews views() const;
  // What the probes say of each gateway; also sets the gateways' metrics.
  [[nodiscard]] std::vector<GatewayInput> inputs(const Seen& seen);
  // Why the prober could not be opened; empty: no trouble.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  [[nodiscard]] bool open(Duration interval);
  void show(std::uint32_t ordinal, const tunnel::ProbeView& view);
  void hide_all_but(const std::set<std::uint32_t>& ordinals);

  Loop& loop_;
  Metrics& metrics_;
  const Config& config_;
  tunnel::Key node_key_;
  OpenProber open_;
  tunnel::ProberHooks hooks_;
  std::unique_ptr<tunnel::Prober> prober_;
  std::uint32_t link_ = 0;  // the index of cw-vx to which its socket is bound
  TimePoint since_{};       // when it was opened
  Handle warm_timer_;
  std::string trouble_;
  std::set<std::uint32_t> shown_;  // in the metrics
};

}  // namespace cw::routeagent
