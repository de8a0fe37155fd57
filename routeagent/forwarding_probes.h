// Probes through the cluster's gateways. It opens the prober, gives it the paths, and adds the
// verdicts to the Chooser's input. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/metrics.h"
#include "homing/choose.h"
#include "routeagent/node/desired.h"
#include "tunnel/probe/forwarding_prober.h"

namespace cw::routeagent {

using homing::ChoiceKey;
using homing::GatewayInput;

class ForwardingProbes {
 public:
  using Open = std::function<Result<std::unique_ptr<tunnel::ForwardingProber>>(
      tunnel::ForwardingConfig, tunnel::ForwardingProber::OnChange)>;

  // Without `open` nothing is probed. `on_change` must not call reconcile().
  ForwardingProbes(Open open, Metrics& metrics, std::function<void()> on_change)
      : open_(std::move(open)), metrics_(metrics), on_change_(std::move(on_change)) {}

  // Probes the paths that follow from `seen`: forwarding_targets() and own_targets().
  void reconcile(const Seen& seen);
  // Adds the verdicts about this gateway to its input.
  void add_to(GatewayInput& gateway) const;
  // The path MTU where packets of full size do not pass. The smallest of all gateways' paths
  // counts, so that a switch of gateways loses no packet.
  [[nodiscard]] std::map<ChoiceKey, std::uint32_t> path_mtu() const;
  // Why the prober could not be opened; empty: no trouble.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  void show();

  Open open_;
  Metrics& metrics_;
  std::function<void()> on_change_;
  std::unique_ptr<tunnel::ForwardingProber> prober_;
  tunnel::ForwardingConfig config_;
  std::map<tunnel::PathKey, tunnel::PathView> seen_;
  std::set<tunnel::PathKey> shown_;
  std::string trouble_;
};

}  // namespace cw::routeagent
