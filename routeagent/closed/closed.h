// Keeps the prefixes of remote clusters closed on this node: the ledger, its file, and the guard in
// the kernel. At start it closes the prefixes in the file, before the store answers. It closes what
// the store names before any route is made, and opens only what was unpaired. It repairs the guard
// by itself. Loop thread only. The background works on the kernel in the order of the requests, so
// a pass over routes that is requested later runs later.
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

// The ledger's file: what it had at start, and how to replace it. `write` calls `done` on the loop
// thread when the text is on the disk.
struct LedgerFile {
  using Done = std::function<void(const Result<>&)>;
  Result<Ledger> before;
  std::function<void(std::string text, Done done)> write;
};

class Closed {
 public:
  // The constructor uses `kernel` on the calling thread: when it returns, the prefixes in the file
  // are closed. Later only the background uses `kernel`. `on_change`: clusters() or troubles() may
  // have changed.
  Closed(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
         Metrics& metrics, LedgerFile file, std::function<void()> on_change,
         const netlink::RulePriorities& rules = {});
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;

  // Takes what the store says now. New prefixes are closed before any job that the background gets
  // after this call.
  void learn(std::span<const PeerPrefixes> peers, std::span<const OwnPrefixes> own);
  // Opens the prefixes that learn() took out of the ledger. Call it when their routes are gone.
  void let_go();
  // The kernel changed: checks the guard soon, and repairs it.
  void look_again();

  // Clusters that this node still has prefixes of: in the ledger, in the kernel or in the file.
  [[nodiscard]] std::vector<std::string> clusters() const;
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  // The guard and its wanted state. Jobs share it, and may outlive this object by a moment.
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
