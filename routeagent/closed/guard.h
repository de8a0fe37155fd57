// The guard in the kernel: two layers, each enough alone, that stop the traffic of closed prefixes
// outside of our devices. One is a policy rule per prefix (priority 7488, unreachable), behind our
// own routes. The other is the nft table `causeway-closed`: it judges packets when they leave, so
// it also stops those that another program's rule or address translation sends past our rules, and
// it drops packets that arrive with such a source from anywhere else. Only the tunnel's own outer
// packets pass both layers: a remote gateway may stand inside a prefix that is closed.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "netlink/kernel.h"
#include "netlink/owner.h"
#include "routeagent/node/pass_report.h"

namespace cw::routeagent {

struct GuardState {
  std::set<netlink::Rule> rules;
  std::string nft;  // the text of table `causeway-closed`; empty: no table
  friend bool operator==(const GuardState&, const GuardState&) = default;
};
// Pure. `closed`: none contains another.
[[nodiscard]] GuardState guard_state(std::span<const Prefix> closed,
                                     const netlink::RulePriorities& rules = {});
// The two rules of each family that take the tunnel's own packets past ours. The guard and the
// node's routes both need them: who leaves last removes them.
[[nodiscard]] std::set<netlink::Rule> bypass_rules(const netlink::RulePriorities& rules);
[[nodiscard]] bool is_bypass(const netlink::Rule& rule);

class Guard {
 public:
  explicit Guard(netlink::Kernel& kernel) : kernel_(kernel) {}

  // Dumps, compares, repairs. It adds before it removes; a failed step stops no other.
  PassReport apply(const GuardState& wanted);

 private:
  netlink::Kernel& kernel_;
  // nft prints a table otherwise than it was written: the listing that our text led to.
  std::string nft_text_;
  std::string nft_listing_;
};

}  // namespace cw::routeagent
