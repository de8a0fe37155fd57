// Probes through the cluster's gateways, as the agent uses them: opens and feeds the prober, and
// adds what it sees to what the Chooser chooses from. Loop thread only.
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

  // Without `open` nothing is probed. `on_change` must not call keep() from within.
  ForwardingProbes(Open open, Metrics& metrics, std::function<void()> on_change)
      : open_(std::move(open)), metrics_(metrics), on_change_(std::move(on_change)) {}

  // What is there now. Without an address to ask from nothing is probed.
  void keep(const NodeInputs& inputs);
  // Adds what is known of it to the gateway's input.
  void add_to(GatewayInput& gateway) const;
  // Where smaller packets only get through: the least of all gateways' paths, so that a switch of
  // gateways loses none.
  [[nodiscard]] std::map<ChoiceKey, std::uint32_t> path_mtu() const;
  // Why nothing is probed though it should be; empty: it is.
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
