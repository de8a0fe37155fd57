#include "routeagent/closed/guard_keeper.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "netlink/reconcile.h"
#include "routeagent/closed/guard.h"

namespace cw::routeagent {

std::size_t Guard::prefixes() const {
  return static_cast<std::size_t>(
      std::count_if(state.rules.begin(), state.rules.end(),
                    [](const netlink::Rule& rule) { return rule.unreachable; }));
}

struct GuardKeeper::Job {
  explicit Job(netlink::Kernel& kernel)
      : slow(kernel), reconciler(netlink::closed_owner(), kernel) {}

  netlink::PassReport enforce(const Guard& guard) {
    return reconciler.apply(
        renumbered(guard.state, guard.rules, free_priorities(slow, guard.rules)));
  }

  netlink::Kernel& slow;  // this and reconciler: only jobs use them
  netlink::Reconciler reconciler;
  std::mutex mutex;
  Guard desired;         // under mutex: the newest
  bool waiting = false;  // under mutex: a job that has not begun will take it
};

GuardKeeper::GuardKeeper(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
                         Metrics& metrics, std::function<void()> on_change)
    : random_(random),
      background_(std::move(background)),
      on_change_(std::move(on_change)),
      job_(std::make_shared<Job>(kernel)),
      prefixes_(metrics.gauge("causeway_routeagent_closed_prefixes",
                              "Prefixes whose traffic leaves through our devices or not at all.")),
      repairs_(metrics.counter("causeway_routeagent_closed_steps_total",
                               "Changes made in the guard of closed prefixes.")),
      next_check_(loop, [this] { enforce(); }) {}

void GuardKeeper::apply_now(Guard guard) {
  desired_ = std::move(guard);
  in_kernel_ = desired_.clusters;
  enforced(job_->enforce(desired_), desired_.clusters);
}

void GuardKeeper::set_desired(Guard guard) {
  in_kernel_.insert(guard.clusters.begin(), guard.clusters.end());
  if (guard == desired_) return;
  desired_ = std::move(guard);
  enforce();
}

void GuardKeeper::enforce() {
  next_check_.begun();
  {
    const std::lock_guard lock(job_->mutex);
    job_->desired = desired_;
    if (std::exchange(job_->waiting, true)) return;
  }
  const bool taken = background_.run([this, job = job_] {
    Guard now;
    {
      const std::lock_guard lock(job->mutex);
      now = std::move(job->desired);
      job->waiting = false;
    }
    auto report = job->enforce(now);
    return [this, report = std::move(report), clusters = std::move(now.clusters)] {
      enforced(report, clusters);
    };
  });
  CW_CHECK(taken);  // at most one waits and one runs; ended ones leave the queue soon
}

void GuardKeeper::enforced(const netlink::PassReport& report,
                           const std::set<std::string>& clusters) {
  prefixes_.set(static_cast<double>(desired_.prefixes()));
  repairs_.add(static_cast<double>(report.steps));
  for (const auto& [kind, count] : report.restored) restored_[kind] += count;
  bool changed = report.errors != errors_ || !report.restored.empty();
  if (report.errors != errors_) {
    for (const auto& error : report.errors) {
      log_error("prefixes of remote clusters are not closed: trying again", {{"error", error}});
    }
    if (report.errors.empty()) log_info("prefixes of remote clusters are closed again");
    errors_ = report.errors;
  }
  if (errors_.empty()) {
    retry_.reset();
    changed |= std::exchange(in_kernel_, clusters) != clusters;
  } else if (!next_check_.due()) {
    next_check_.run_after(retry_.next(random_));
  }
  if (changed) on_change_();
}

}  // namespace cw::routeagent
