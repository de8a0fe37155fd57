// Keeps the prefixes of remote clusters closed on this node: the ledger, its file and the guard in
// the kernel together. It closes what the file says before the store was ever reached, what the
// store says before any route is made, and opens only what was unpaired. It repairs the guard by
// itself. Loop thread only; the work on the kernel is done in the background, in the order in which
// it was asked for, so a pass over the routes that is asked for later comes later.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/worker.h"
#include "netlink/owners.h"
#include "netlink/pass_report.h"
#include "netlink/state.h"
#include "routeagent/closed/ledger.h"

namespace cw::routeagent {

// The file: what it said at start, and how to write it again. `write` calls `done` on the loop
// thread when the disk has it.
struct LedgerFile {
  using Done = std::function<void(const Result<>&)>;
  Result<Ledger> before;
  std::function<void(std::string text, Done done)> write;
};

class Closed {
 public:
  // `kernel` is used in the background only, at construction on the calling thread: what the file
  // says is closed when the constructor returns. `on_change`: clusters() or troubles() may have
  // changed.
  Closed(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
         Metrics& metrics, LedgerFile file, std::function<void()> on_change,
         const netlink::RulePriorities& rules = {});
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;

  // What the store says now. What is new is closed before anything that the background is asked for
  // after this.
  void learn(std::span<const PeerPrefixes> peers, std::span<const OwnPrefixes> own);
  // Opens what learn() let go of; called when its routes are gone.
  void let_go();
  // The kernel changed: looks soon whether the guard still stands.
  void look_again();

  // Clusters that this node still holds anything for: in the ledger, in the kernel or in the file.
  [[nodiscard]] std::vector<std::string> clusters() const;
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  // The guard, and what is asked of it: shared with jobs that may outlive us by a moment.
  struct Shared;

  void enforce(netlink::State wanted, std::set<std::string> clusters);
  void enforced(const netlink::PassReport& report, const std::set<std::string>& clusters);
  void keep();  // brings the file up to date
  void written(const Result<>& done);
  [[nodiscard]] std::set<std::string> in_ledger() const;
  [[nodiscard]] std::size_t wanted_prefixes() const;

  Loop& loop_;
  Random& random_;
  LedgerFile file_;
  std::function<void()> on_change_;
  netlink::RulePriorities rules_;
  Background background_;
  std::shared_ptr<Shared> shared_;
  Gauge& prefixes_;
  Counter& repairs_;

  Ledger ledger_;
  std::string file_text_;  // as the disk has it
  std::string writing_;    // empty: no write is under way
  std::set<std::string> in_file_;
  std::set<std::string> in_kernel_;
  netlink::State wanted_;
  std::set<std::string> wanted_clusters_;  // whose prefixes wanted_ holds back
  bool known_ = false;               // wanted_ means something: the file or the store has been read
  std::vector<std::string> errors_;  // of the guard
  std::vector<std::string> open_;    // prefixes that are not held back, and why
  std::string file_trouble_;

  TimePoint last_look_{};
  Backoff retry_{std::chrono::milliseconds(200), std::chrono::seconds(10)};
  Backoff write_retry_{std::chrono::seconds(1), std::chrono::seconds(30)};
  Handle look_timer_;
  Handle write_timer_;
};

}  // namespace cw::routeagent
