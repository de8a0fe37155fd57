// Keeps the guard (guard.h) in the kernel, and repairs it by itself. Loop thread only. The
// background works on the kernel in the order of the requests, so a pass over routes that is
// requested later runs later.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/worker.h"
#include "netlink/owner.h"
#include "netlink/pass_report.h"
#include "netlink/state.h"
#include "routeagent/pass_timer.h"

namespace cw::routeagent {

// The guard's state, and the clusters whose prefixes it holds back.
struct Guard {
  netlink::State state;
  std::set<std::string> clusters;
  netlink::RulePriorities rules = {};  // as configured; those of `state`
  [[nodiscard]] std::size_t prefixes() const;
  friend bool operator==(const Guard&, const Guard&) = default;
};

class GuardKeeper {
 public:
  // Only the background uses `kernel`, and apply_now(). `on_change`: in_kernel() or errors() may
  // have changed.
  GuardKeeper(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
              Metrics& metrics, std::function<void()> on_change);

  // For the start: on the calling thread.
  void apply_now(Guard guard);
  // In force before any job that the background gets after this call.
  void set_desired(Guard guard);
  // The kernel changed: checks the guard soon, and repairs it.
  void check_soon() { next_check_.poke(); }
  // The clusters that the kernel may have prefixes of.
  [[nodiscard]] const std::set<std::string>& in_kernel() const { return in_kernel_; }
  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  // What other programs had removed since the last call, and is there again. on_change tells.
  [[nodiscard]] std::map<std::string, std::size_t> take_restored() {
    return std::exchange(restored_, {});
  }

 private:
  // What jobs use. They may outlive this object by a moment.
  struct Job;

  void enforce();
  void enforced(const netlink::PassReport& report, const std::set<std::string>& clusters);

  Random& random_;
  Background background_;
  std::function<void()> on_change_;
  std::shared_ptr<Job> job_;
  Gauge& prefixes_;
  Counter& repairs_;
  Guard desired_;
  std::set<std::string> in_kernel_;
  std::vector<std::string> errors_;
  std::map<std::string, std::size_t> restored_;
  PassTimer next_check_;
  Backoff retry_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
};

}  // namespace cw::routeagent
