#include "routeagent/closed/closed.h"

#include <fmt/format.h>

#include "base/log.h"
#include "routeagent/closed/guard.h"

namespace cw::routeagent {

Closed::Closed(Loop& loop, Random& random, netlink::Kernel& kernel, Background background,
               Metrics& metrics, LedgerFile file, const std::function<void()>& on_change,
               const netlink::RulePriorities& rules)
    : rules_(rules),
      book_(loop, random, std::move(file), on_change),
      guard_(loop, random, kernel, std::move(background), metrics, on_change),
      known_(book_.trouble().empty()) {
  // If the file cannot be read, the guard in the kernel stays as it is until the store answers.
  if (book_.ledger().empty()) return;
  auto guard = guard_for(book_.ledger());
  const auto prefixes = guard.prefixes();
  guard_.apply_now(std::move(guard));  // no job runs yet, and no packet may leave before
  log_info("prefixes from the file are closed, before the store answers",
           {{"clusters", book_.ledger().size()}, {"prefixes", prefixes}});
}

Guard Closed::guard_for(const Ledger& ledger) const {
  return {guard_state(closed_prefixes(ledger), rules_), cluster_ids(ledger), rules_};
}

void Closed::learn(std::span<const PeerPrefixes> peers, std::span<const OwnPrefixes> own) {
  auto next = learned(book_.ledger(), peers, own);
  open_ = left_open(next, own);
  if (next != book_.ledger() || !known_) {
    known_ = true;
    // Prefixes that left the ledger stay closed until let_go().
    auto both = next;
    for (const auto& [id, cluster] : book_.ledger()) {
      both[id].closed.insert(cluster.closed.begin(), cluster.closed.end());
    }
    auto guard = guard_for(both);
    guard.clusters.insert(guard_.in_kernel().begin(), guard_.in_kernel().end());
    guard_.set_desired(std::move(guard));
  }
  book_.set(std::move(next));
}

void Closed::let_go() {
  if (known_) guard_.set_desired(guard_for(book_.ledger()));
}

void Closed::check_soon() {
  if (known_) guard_.check_soon();
}

std::vector<std::string> Closed::clusters() const {
  auto all = cluster_ids(book_.ledger());
  all.insert(guard_.in_kernel().begin(), guard_.in_kernel().end());
  all.insert(book_.in_file().begin(), book_.in_file().end());
  return {all.begin(), all.end()};
}

std::vector<std::string> Closed::troubles() const {
  auto all = guard_.errors();
  all.insert(all.end(), open_.begin(), open_.end());
  if (!book_.trouble().empty()) {
    all.push_back(fmt::format("the file of closed prefixes cannot be used: {}", book_.trouble()));
  }
  return all;
}

}  // namespace cw::routeagent
