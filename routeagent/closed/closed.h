// Keeps the prefixes of remote clusters closed on this node: the ledger, its file, and the guard in
// the kernel. At start it closes the prefixes in the file, before the store answers. It closes what
// the store names before any route is made, and opens only what was unpaired. Loop thread only.
#pragma once

#include "netlink/owners.h"
#include "routeagent/closed/guard_keeper.h"
#include "routeagent/closed/ledger_book.h"

namespace cw::routeagent {

class Closed {
 public:
  // The constructor uses `kernel` on the calling thread: when it returns, the prefixes in the file
  // are closed. Later only the background uses `kernel`. `on_change`: clusters() or troubles() may
  // have changed.
  Closed(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
         Metrics& metrics, LedgerFile file, const std::function<void()>& on_change,
         const netlink::RulePriorities& rules = {});

  // Takes what the store says now. New prefixes are closed before any job that the background gets
  // after this call.
  void learn(std::span<const PeerPrefixes> peers, std::span<const OwnPrefixes> own);
  // Opens the prefixes that learn() took out of the ledger. Call it when their routes are gone.
  void let_go();
  // The kernel changed: checks the guard soon, and repairs it.
  void check_soon();

  // Clusters that this node still has prefixes of: in the ledger, in the kernel or in the file.
  [[nodiscard]] std::vector<std::string> clusters() const;
  // As GuardKeeper::take_restored().
  [[nodiscard]] std::map<std::string, std::size_t> take_restored() {
    return guard_.take_restored();
  }
  [[nodiscard]] std::vector<std::string> troubles() const;

 private:
  [[nodiscard]] Guard guard_for(const Ledger& ledger) const;

  netlink::RulePriorities rules_;
  LedgerBook book_;
  GuardKeeper guard_;
  bool known_;                     // the file or the store has been read
  std::vector<std::string> open_;  // prefixes that are not held back, and why
};

}  // namespace cw::routeagent
