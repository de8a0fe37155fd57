// Brings the kernel to a NodeState: dump, diff, apply. Adds before it removes and makes things
// before what uses them; a failed step stops nothing else. Laws (tests/routeagent/reconcile_test):
// a second pass does nothing; one pass reaches the state from any other; a crash after any step is
// repaired by the next pass; remove_all() leaves nothing of ours.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "netlink/kernel.h"
#include "routeagent/node/state.h"

namespace cw::routeagent {

struct PassReport {
  std::size_t steps = 0;            // changes made or tried
  std::size_t routes = 0;           // to remote clusters, wanted
  std::vector<std::string> errors;  // of the steps that failed, in order
  friend bool operator==(const PassReport&, const PassReport&) = default;
};

class Reconciler {
 public:
  explicit Reconciler(netlink::Kernel& kernel) : kernel_(kernel) {}

  PassReport apply(const NodeState& desired);
  // The fast path: replaces the nexthop objects that differ from the last ones applied, and nothing
  // else. Objects that do not exist yet, or go, are apply()'s. What a hold (node/hold.h) has queued
  // goes to its new gateway first.
  PassReport switch_nexthops(const std::map<std::uint32_t, netlink::Nexthop>& desired);

 private:
  void release(const netlink::Nexthop& next);

  netlink::Kernel& kernel_;
  std::map<IpAddress, netlink::Mac> neighbours_;        // as last applied
  std::map<std::uint32_t, netlink::Nexthop> nexthops_;  // as last applied
  // nft prints a table otherwise than it was written: the listing that our text led to, to see
  // whether somebody changed it since.
  std::string nft_text_;
  std::string nft_listing_;
};

// Removes everything the route agent ever makes, and nothing else (sysctls stay: others need them).
PassReport remove_all(netlink::Kernel& kernel);

}  // namespace cw::routeagent
