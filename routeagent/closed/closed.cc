#include "routeagent/closed/closed.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/log.h"
#include "netlink/reconcile.h"
#include "routeagent/closed/guard.h"

namespace cw::routeagent {

namespace {

// One change causes several kernel events: they become one check.
constexpr Duration kDebounce = std::chrono::milliseconds(20);
// Each check starts the nft program, and each pod that starts or stops changes the kernel.
constexpr Duration kBetweenLooks = std::chrono::milliseconds(200);

// The guard for the closed prefixes of both ledgers.
netlink::State both(const Ledger& a, const Ledger& b, const netlink::RulePriorities& rules) {
  Ledger all = a;
  for (const auto& [id, cluster] : b) {
    all[id].closed.insert(cluster.closed.begin(), cluster.closed.end());
  }
  return guard_state(closed_prefixes(all), rules);
}

}  // namespace

struct Closed::Shared {
  explicit Shared(netlink::Kernel& kernel) : guard(netlink::closed_owner(), kernel) {}

  netlink::Reconciler guard;  // only jobs use it
  std::mutex mutex;
  netlink::State wanted;           // under mutex: the newest
  std::set<std::string> clusters;  // under mutex
  bool waiting = false;            // under mutex: a job that has not begun will take them
};

Closed::Closed(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
               Metrics& metrics, LedgerFile file, std::function<void()> on_change,
               const netlink::RulePriorities& rules)
    : loop_(loop),
      random_(random),
      file_(std::move(file)),
      on_change_(std::move(on_change)),
      rules_(rules),
      background_(std::move(background)),
      shared_(std::make_shared<Shared>(kernel)),
      prefixes_(metrics.gauge("causeway_routeagent_closed_prefixes",
                              "Prefixes whose traffic leaves through our devices or not at all.")),
      repairs_(metrics.counter("causeway_routeagent_closed_steps_total",
                               "Changes made in the guard of closed prefixes.")) {
  if (!file_.before) {
    // The guard in the kernel stays as it is until the store answers.
    file_trouble_ = file_.before.error().text;
    log_error("cannot read the file of closed prefixes: they are unknown until the store answers",
              {{"error", file_trouble_}});
    return;
  }
  known_ = true;
  ledger_ = *file_.before;
  file_text_ = ledger_text(ledger_);
  in_file_ = in_kernel_ = in_ledger();
  if (ledger_.empty()) return;
  wanted_ = guard_state(closed_prefixes(ledger_), rules_);
  wanted_clusters_ = in_ledger();
  // On this thread: no job runs yet, and no packet may leave before.
  enforced(shared_->guard.apply(wanted_), wanted_clusters_);
  log_info("prefixes from the file are closed, before the store answers",
           {{"clusters", ledger_.size()}, {"prefixes", wanted_prefixes()}});
}

std::set<std::string> Closed::in_ledger() const {
  std::set<std::string> ids;
  for (const auto& [id, cluster] : ledger_) ids.insert(id);
  return ids;
}

std::size_t Closed::wanted_prefixes() const {
  return static_cast<std::size_t>(
      std::count_if(wanted_.rules.begin(), wanted_.rules.end(),
                    [](const netlink::Rule& rule) { return rule.unreachable; }));
}

void Closed::learn(std::span<const PeerPrefixes> peers, std::span<const OwnPrefixes> own) {
  auto next = learned(ledger_, peers, own);
  open_ = left_open(next, own);
  const auto before = std::exchange(ledger_, std::move(next));
  if (ledger_ != before || !known_) {
    known_ = true;
    // Prefixes that left the ledger stay closed until let_go().
    auto wanted = both(ledger_, before, rules_);
    auto clusters = in_ledger();
    clusters.insert(in_kernel_.begin(), in_kernel_.end());
    in_kernel_ = clusters;
    if (wanted != wanted_) enforce(std::move(wanted), std::move(clusters));
  }
  keep();
}

void Closed::let_go() {
  auto wanted = guard_state(closed_prefixes(ledger_), rules_);
  if (known_ && (wanted != wanted_ || wanted_clusters_ != in_ledger())) {
    enforce(std::move(wanted), in_ledger());
  }
}

void Closed::look_again() {
  if (look_timer_.active() || !known_) return;
  const auto earliest = last_look_ + kBetweenLooks - loop_.now();
  look_timer_ = loop_.after(std::max<Duration>(kDebounce, earliest), [this] {
    look_timer_.reset();
    enforce(wanted_, wanted_clusters_);
  });
}

void Closed::enforce(netlink::State wanted, std::set<std::string> clusters) {
  last_look_ = loop_.now();
  wanted_ = std::move(wanted);
  wanted_clusters_ = std::move(clusters);
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->wanted = wanted_;
    shared_->clusters = wanted_clusters_;
    if (std::exchange(shared_->waiting, true)) return;
  }
  const bool taken = background_.run([this, shared = shared_] {
    netlink::State now;
    std::set<std::string> held;
    {
      const std::lock_guard lock(shared->mutex);
      now = std::move(shared->wanted);
      held = std::move(shared->clusters);
      shared->waiting = false;
    }
    auto report = shared->guard.apply(now);
    return [this, report = std::move(report), held = std::move(held)] { enforced(report, held); };
  });
  CW_CHECK(taken);  // at most one waits and one runs; ended ones leave the queue soon
}

void Closed::enforced(const netlink::PassReport& report, const std::set<std::string>& clusters) {
  prefixes_.set(static_cast<double>(wanted_prefixes()));
  repairs_.add(static_cast<double>(report.steps));
  bool changed = report.errors != errors_;
  if (changed) {
    for (const auto& error : report.errors) {
      log_error("prefixes of remote clusters are not closed: trying again", {{"error", error}});
    }
    if (report.errors.empty()) log_info("prefixes of remote clusters are closed again");
    errors_ = report.errors;
  }
  if (errors_.empty()) {
    retry_.reset();
    changed |= std::exchange(in_kernel_, clusters) != clusters;
  } else if (!look_timer_.active()) {
    look_timer_ = loop_.after(retry_.next(random_), [this] {
      look_timer_.reset();
      enforce(wanted_, wanted_clusters_);
    });
  }
  if (changed) on_change_();
}

void Closed::keep() {
  if (!writing_.empty() || write_timer_.active()) return;
  auto text = ledger_text(ledger_);
  if (text == file_text_) return;
  writing_ = std::move(text);
  for (const auto& id : in_ledger()) in_file_.insert(id);
  file_.write(writing_, [this](const Result<>& done) { written(done); });
}

void Closed::written(const Result<>& done) {
  const auto text = std::exchange(writing_, {});
  if (!done) {
    if (file_trouble_ != done.error().text) {
      log_error("cannot write the file of closed prefixes: trying again",
                {{"error", done.error().text}});
    }
    file_trouble_ = done.error().text;
    write_timer_ = loop_.after(write_retry_.next(random_), [this] {
      write_timer_.reset();
      keep();
    });
    return on_change_();
  }
  write_retry_.reset();
  file_trouble_.clear();
  file_text_ = text;
  in_file_.clear();
  if (const auto ledger = parse_ledger(text)) {
    for (const auto& [id, cluster] : *ledger) in_file_.insert(id);
  }
  keep();  // the ledger may have changed during the write
  on_change_();
}

std::vector<std::string> Closed::clusters() const {
  auto all = in_ledger();
  all.insert(in_kernel_.begin(), in_kernel_.end());
  all.insert(in_file_.begin(), in_file_.end());
  return {all.begin(), all.end()};
}

std::vector<std::string> Closed::troubles() const {
  auto all = errors_;
  all.insert(all.end(), open_.begin(), open_.end());
  if (!file_trouble_.empty()) {
    all.push_back(fmt::format("the file of closed prefixes cannot be used: {}", file_trouble_));
  }
  return all;
}

}  // namespace cw::routeagent
