// What a host forwards because of us. The data path needs forwarding, and a host that forwards is a
// router for all hosts on its links. So where forwarding was off and we turned it on, an nft table
// of its own drops whatever is not ours: only packets between local and remote pods, and transit
// between our devices, pass. Where forwarding was on before (a Kubernetes node), others decided
// that, and nothing is restricted.
//
// The table itself says who turned forwarding on: it stays when the agent stops, and goes at a
// reboot together with the setting. A file says it, too (forward_memory.h), for a table that goes.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "base/prefix.h"
#include "netlink/kernel.h"
#include "netlink/nft_keeper.h"
#include "routeagent/node/forward_memory.h"

namespace cw::routeagent {

struct ForwardInputs {
  std::vector<Prefix> local;   // pod prefixes of this cluster
  std::vector<Prefix> remote;  // of remote clusters
  friend bool operator==(const ForwardInputs&, const ForwardInputs&) = default;
};

// The table for the families whose forwarding is ours. Pure.
[[nodiscard]] netlink::NftTable forward_table(const ForwardInputs& inputs,
                                              const std::set<Family>& families);

// One a process. Of the thread that makes passes over the kernel.
class ForwardPolicy {
 public:
  explicit ForwardPolicy(ForwardMemory memory = {}) : memory_(std::move(memory)) {}

  // Before forwarding is turned on. `families`: those that need forwarding. False: it must not be
  // turned on yet.
  [[nodiscard]] bool apply(netlink::Kernel& kernel, const ForwardInputs& inputs,
                           const std::set<Family>& families, netlink::PassReport& report);

 private:
  [[nodiscard]] bool recall(netlink::Kernel& kernel, const std::set<Family>& families,
                            netlink::PassReport& report);

  ForwardMemory memory_;
  std::set<Family> recalled_;  // whose forwarding was looked at
  std::set<Family> ours_;
  netlink::NftKeeper nft_;
};

// Takes the table away, and turns forwarding off where it was ours: the table or `remembered` says
// so.
void remove_forward_policy(netlink::Kernel& kernel, const std::set<Family>& remembered,
                           netlink::PassReport& report);

}  // namespace cw::routeagent
