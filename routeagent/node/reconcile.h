// A pass over the kernel of this node. netlink::Reconciler brings the state about. This adds what
// only a node has: the limit of forwarding, the removal of a moved gateway's device, and a check of
// other programs' rules.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "netlink/reconcile.h"
#include "routeagent/node/forward_policy.h"
#include "routeagent/node/state.h"

namespace cw::routeagent {

struct NodeReport : netlink::PassReport {
  // What another program does to this node's traffic, and the remedy (node/rule_order.h).
  std::vector<std::string> complaints;
  std::size_t rules_before = 0;  // rules of other programs that stand before ours
};

class NodeReconciler {
 public:
  explicit NodeReconciler(netlink::Kernel& kernel)
      : slow_(kernel), reconciler_(netlink::node_owner(), kernel) {}
  // The loop thread uses `kernel`, the thread that runs pass() uses `slow`.
  NodeReconciler(netlink::Kernel& kernel, netlink::Kernel& slow,
                 netlink::Reconciler::OnLoop on_loop, ForwardMemory forwarding = {})
      : slow_(slow),
        reconciler_(netlink::node_owner(), kernel, slow, std::move(on_loop)),
        forward_(std::move(forwarding)) {}

  // set_desired() and pass(), on one thread.
  NodeReport apply(const NodeState& desired);
  // Loop thread, before a pass() to the same state.
  void set_desired(const NodeState& desired) { reconciler_.set_desired(desired); }
  // On any one thread. Ends early if the loop is stopping.
  NodeReport pass(const NodeState& desired);
  // The fast path (netlink/nexthops.h). Loop thread.
  netlink::PassReport change_nexthops(const netlink::NexthopMap& wanted) {
    return reconciler_.change_nexthops(wanted);
  }

 private:
  netlink::Kernel& slow_;  // this and forward_: only for the thread that runs pass()
  netlink::Reconciler reconciler_;
  ForwardPolicy forward_;
};

// Removes all objects of the route agent and no other. Sysctls stay, because other programs may
// need them. Exception: it turns off forwarding that the agent turned on; `forwarding` is what the
// agent's file says of that.
netlink::PassReport remove_node(netlink::Kernel& kernel, const std::set<Family>& forwarding = {});

}  // namespace cw::routeagent
