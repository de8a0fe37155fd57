#include "routeagent/kernel_passes.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "netlink/owner.h"

namespace cw::routeagent {

namespace {

// Routes of probes name a device, and are not counted.
std::uint32_t routes_to_remotes(const NodeState& state) {
  return static_cast<std::uint32_t>(
      std::count_if(state.routes.begin(), state.routes.end(), [](const auto& entry) {
        return entry.first.first == netlink::kToRemoteTable && entry.second.link.empty();
      }));
}

}  // namespace

PassErrors::PassErrors(const Deps& deps, std::function<void()> on_retry)
    : loop_(deps.loop),
      random_(deps.random),
      on_retry_(std::move(on_retry)),
      count_(deps.metrics.gauge("causeway_routeagent_errors",
                                "Failed steps and wrong inputs of the last pass.")) {}

void PassErrors::record(const std::vector<std::string>& failed,
                        const std::vector<std::string>& problems) {
  auto errors = failed;
  errors.insert(errors.end(), problems.begin(), problems.end());
  if (errors != errors_) {
    for (const auto& error : errors) {
      if (std::find(errors_.begin(), errors_.end(), error) == errors_.end()) {
        log_warn("node state incomplete", {{"error", error}});
      }
    }
    if (errors.empty()) log_info("node state complete again");
    errors_ = std::move(errors);
  }
  count_.set(static_cast<double>(errors_.size()));
  if (failed.empty()) {
    backoff_.reset();
    timer_.reset();
  } else {
    timer_ = loop_.after(backoff_.next(random_), on_retry_);
  }
}

struct KernelPasses::PassMetrics {
  explicit PassMetrics(Metrics& metrics)
      : routes(metrics.gauge("causeway_routeagent_routes", "Routes to remote clusters.")),
        passes(metrics.counter("causeway_routeagent_passes_total", "Passes over the kernel.")),
        steps(metrics.counter("causeway_routeagent_steps_total", "Changes made in the kernel.")),
        rules_before(
            metrics.gauge("causeway_routeagent_rules_before",
                          "Rules of other programs that take pods' packets before ours.")) {}
  Gauge& routes;
  Counter& passes;
  Counter& steps;
  Gauge& rules_before;
};

KernelPasses::KernelPasses(const Deps& deps, Hooks hooks)
    : background_(deps.background),
      hooks_(std::move(hooks)),
      metrics_(std::make_shared<PassMetrics>(deps.metrics)),
      reconciler_(std::make_shared<NodeReconciler>(deps.kernel, deps.slow(), background_.ask,
                                                   deps.forwarding)),
      errors_(deps, hooks_.on_retry) {}

void KernelPasses::change_nexthops(const netlink::NexthopMap& desired) {
  metrics_->steps.add(static_cast<double>(reconciler_->change_nexthops(desired).steps));
}

void KernelPasses::start(NodeState desired) {
  // At once: the pass may take long, and an earlier one may still run.
  if (desired.decided && ended_once_) change_nexthops(desired.nexthops);
  stale_ = running_;
  if (running_) return;
  running_ = true;
  reconciler_->set_desired(desired);
  const auto state = std::make_shared<const NodeState>(std::move(desired));
  const bool taken = background_.run([this, state, reconciler = reconciler_] {
    auto report = reconciler->pass(*state);
    return [this, state, report = std::move(report)] { ended(*state, report); };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
}

void KernelPasses::ended(const NodeState& desired, const NodeReport& report) {
  running_ = false;
  ended_once_ = true;
  metrics_->passes.add();
  metrics_->steps.add(static_cast<double>(report.steps));
  if (report.steps > 0) {
    log_debug("kernel state changed", {{"steps", report.steps}, {"errors", report.errors.size()}});
  }
  routes_ = report.ended_early ? 0 : routes_to_remotes(desired);
  metrics_->routes.set(routes_);
  metrics_->rules_before.set(static_cast<double>(report.rules_before));
  hooks_.on_end(desired, report, !std::exchange(stale_, false));
}

}  // namespace cw::routeagent
