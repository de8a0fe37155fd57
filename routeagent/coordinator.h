// The route agent of one node: a list of parts, and the order in which they work. It watches the
// cluster in the store, probes the gateways, and keeps the kernel in the state that follows
// (node/desired.h). An event only makes a pass due. A change of gateway replaces nexthop objects
// from memory, so no packet waits for the store. While the store is unreachable, the last state
// stays. If it is unreachable from the start, the kernel stays as it is; only the prefixes in the
// ledger's file are closed (closed/closed.h). Loop thread only.
#pragma once

#include "routeagent/homing.h"
#include "routeagent/host.h"
#include "routeagent/kernel_passes.h"
#include "routeagent/overlay_view.h"
#include "routeagent/pass_timer.h"
#include "routeagent/report.h"
#include "routeagent/store_view.h"
#include "routeagent/surroundings.h"
#include "routeagent/troubles.h"

namespace cw::routeagent {

class Coordinator {
 public:
  explicit Coordinator(Deps deps);
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // One sentence for each reason why the node is not ready; empty: it is ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  // For each remote cluster: does a gateway that answers this node reach it? None: the probes mean
  // nothing yet. For other processes of the host (base/reach.h).
  [[nodiscard]] std::optional<std::map<std::string, bool>> reach();
  // Called when reach() may have changed.
  void set_on_reach(std::function<void()> on_reach) { on_reach_ = std::move(on_reach); }

 private:
  void start_pass();  // reads the host first if it may have changed
  void pass();
  void end_pass(const NodeState& state, const NodeReport& report, bool newest);
  void on_verdict();  // the fast path: a verdict of the probes changed
  void watch_overlay();
  void publish(const Seen& seen, const Decision& decision);

  Deps deps_;
  PassTimer next_pass_;
  Closed closed_;  // closes prefixes before any other part starts
  Report report_;
  Troubles troubles_;
  Surroundings surroundings_;
  Host host_;
  StoreView view_;
  OverlayView overlay_;
  HopDevice hop_;
  Homing homing_;
  KernelPasses passes_;

  std::string waiting_ = "starting";  // why no pass can run; empty: it can
  std::optional<Seen> seen_;          // of the last pass, for the fast path
  std::function<void()> on_reach_;
};

}  // namespace cw::routeagent
