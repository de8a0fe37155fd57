// Limits what a host forwards because of us. The data path needs forwarding, and a host that
// forwards is a router for all hosts on its links. So if the agent turned forwarding on, the nft
// table `causeway-forward` drops all packets that are not ours. It passes packets between local and
// remote pods, transit between our devices, and ICMP errors from our devices to local pods. If
// forwarding was on before (a Kubernetes node), other programs need it, and nothing is limited.
//
// The table also records that the agent turned forwarding on: it stays when the agent stops, and a
// reboot takes both away. A file records it, too (forward_memory.h), in case the table is flushed.
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

// One per process. Only the thread of passes over the kernel uses it.
class ForwardPolicy {
 public:
  explicit ForwardPolicy(ForwardMemory memory = {}) : memory_(std::move(memory)) {}

  // Call it before forwarding is turned on for `families`. False: it must not be turned on yet.
  [[nodiscard]] bool apply(netlink::Kernel& kernel, const ForwardInputs& inputs,
                           const std::set<Family>& families, netlink::PassReport& report);

 private:
  [[nodiscard]] bool recall(netlink::Kernel& kernel, const std::set<Family>& families,
                            netlink::PassReport& report);

  ForwardMemory memory_;
  std::set<Family> recalled_;  // those that recall() has decided about
  std::set<Family> ours_;      // those that the agent turned on, or will
  netlink::NftKeeper nft_;
};

// Removes the table. Turns forwarding off for the families that the agent turned on: those of the
// table and of `remembered`.
void remove_forward_policy(netlink::Kernel& kernel, const std::set<Family>& remembered,
                           netlink::PassReport& report);

}  // namespace cw::routeagent
