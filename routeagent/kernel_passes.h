// Brings this node's kernel into its desired state: one pass at a time, in the background. A pass
// that failed is repeated later. The fast path does not wait for a pass. Loop thread only.
#pragma once

#include "base/backoff.h"
#include "routeagent/deps.h"
#include "routeagent/node/reconcile.h"

namespace cw::routeagent {

// The errors of the newest pass: logs each once, and plans the next try.
class PassErrors {
 public:
  // `on_retry`: a pass is due after a failure.
  PassErrors(const Deps& deps, std::function<void()> on_retry);

  // `failed`: steps that the next try may mend. `problems`: what no try mends.
  void record(const std::vector<std::string>& failed, const std::vector<std::string>& problems);
  [[nodiscard]] const std::vector<std::string>& all() const { return errors_; }

 private:
  Loop& loop_;
  Random& random_;
  std::function<void()> on_retry_;
  Gauge& count_;
  std::vector<std::string> errors_;
  Backoff backoff_{std::chrono::seconds(1), std::chrono::seconds(30)};
  Handle timer_;
};

class KernelPasses {
 public:
  struct Hooks {
    // A pass has ended. `newest`: no other state was desired in that time.
    std::function<void(const NodeState&, const NodeReport&, bool newest)> on_end;
    std::function<void()> on_retry;  // a pass is due after a failure
  };
  KernelPasses(const Deps& deps, Hooks hooks);

  // Starts a pass. While another pass runs, only nexthop objects are replaced.
  void start(NodeState desired);
  // The fast path (netlink/nexthops.h): replaces nexthop objects from memory.
  void change_nexthops(const netlink::NexthopMap& desired);
  // Reports what failed, and plans the next try. `problems`: what no try mends.
  void record(const std::vector<std::string>& failed, const std::vector<std::string>& problems) {
    errors_.record(failed, problems);
  }
  [[nodiscard]] bool ended_once() const { return ended_once_; }
  // As of the last pass: routes to remote clusters, and what record() got.
  [[nodiscard]] std::uint32_t routes() const { return routes_; }
  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_.all(); }

 private:
  struct PassMetrics;
  void ended(const NodeState& desired, const NodeReport& report);

  Background background_;
  Hooks hooks_;
  std::shared_ptr<PassMetrics> metrics_;
  std::shared_ptr<NodeReconciler> reconciler_;  // a pass may outlive this object by a moment
  bool running_ = false;
  bool stale_ = false;  // the state of the pass that runs is old
  bool ended_once_ = false;
  std::uint32_t routes_ = 0;
  PassErrors errors_;
};

}  // namespace cw::routeagent
