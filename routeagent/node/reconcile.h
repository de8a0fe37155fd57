// Brings the kernel to a NodeState: dump, diff, apply. Adds before it removes and makes things
// before what uses them; a failed step stops nothing else, but without the nft table it makes no
// cw-vx. Laws (tests/routeagent/reconcile_test): a second pass does nothing; one pass reaches the
// state from any other; the next one repairs a crash after any step; remove_all() leaves nothing.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "netlink/kernel.h"
#include "routeagent/node/forward_policy.h"
#include "routeagent/node/pass_report.h"
#include "routeagent/node/state.h"

namespace cw::routeagent {

// A pass may take long (the nft program, a large dump, connection tracking), the fast path must not
// wait for it. So pass() may run on another thread with a Kernel of its own; it asks the loop
// thread to replace nexthop objects, which always get their newest wanted value.
class Reconciler {
 public:
  using OnLoop = std::function<bool(const std::function<void()>&)>;  // Worker::ask()

  explicit Reconciler(netlink::Kernel& kernel)
      : Reconciler(kernel, kernel, [](const std::function<void()>& call) {
          call();
          return true;
        }) {}
  // `kernel` is for the loop thread, `slow` for the one that runs pass().
  Reconciler(netlink::Kernel& kernel, netlink::Kernel& slow, OnLoop on_loop,
             ForwardMemory forwarding = {})
      : kernel_(kernel),
        slow_(slow),
        on_loop_(std::move(on_loop)),
        forward_(std::move(forwarding)) {}

  // want() and pass(), on one thread.
  PassReport apply(const NodeState& desired);
  // Loop thread, before a pass() to the same state.
  void want(const NodeState& desired) { wanted_ = desired.nexthops; }
  // Any one thread. Ends early if the loop does not answer any more.
  PassReport pass(const NodeState& desired);
  // The fast path: replaces the nexthop objects that differ from the last ones applied, and nothing
  // else. Objects that do not exist yet, or go, are apply()'s. What a hold (node/hold.h) has queued
  // goes to its new gateway first. Loop thread.
  PassReport switch_nexthops(const std::map<std::uint32_t, netlink::Nexthop>& desired);

 private:
  void release(const netlink::Nexthop& next);
  [[nodiscard]] bool forward_policy(const NodeState& desired, PassReport& report);

  // The loop thread's:
  netlink::Kernel& kernel_;
  std::map<std::uint32_t, netlink::Nexthop> wanted_;    // newest
  std::map<IpAddress, netlink::Mac> neighbours_;        // as last applied
  std::map<std::uint32_t, netlink::Nexthop> nexthops_;  // as last applied
  // Of the thread that runs pass():
  netlink::Kernel& slow_;
  OnLoop on_loop_;
  bool first_ = true;
  bool guarded_ = false;  // the node's table was applied once
  ForwardPolicy forward_;
  // nft prints a table otherwise than it was written: the listing that our text led to, to see
  // whether another program changed it since.
  std::string nft_text_;
  std::string nft_listing_;
};

// Removes everything the route agent ever makes, and nothing else (sysctls stay: others need them;
// forwarding that was ours goes, `forwarding` by the agent's file).
PassReport remove_all(netlink::Kernel& kernel, const std::set<Family>& forwarding = {});

}  // namespace cw::routeagent
