#include "routeagent/node/filters.h"

#include <fmt/format.h>

#include "netlink/owner.h"

namespace cw::routeagent {

using netlink::BaseChain;

std::vector<std::string> filter_doubts(std::span<const BaseChain> chains) {
  std::vector<std::string> doubts;
  for (const auto& chain : chains) {
    const auto name =
        fmt::format("chain {} of nft table {} {}", chain.name, chain.family, chain.table);
    if (chain.hook == BaseChain::Hook::kPostroutingNat) {
      if (chain.priority >= kExemptionPriority) continue;
      doubts.push_back(fmt::format(
          "{} translates sources at priority {}, before Causeway exempts pods' packets at {}. If "
          "pods reach remote clusters with another address, give that chain priority 100 (srcnat)",
          name, chain.priority, kExemptionPriority));
      continue;
    }
    if (!chain.drops || chain.names_ours) continue;
    doubts.push_back(fmt::format(
        "{} drops packets that none of its rules accepts, and none names {} or {}. If pods do not "
        "reach remote clusters, accept packets that come in or go out by these devices (iptables: "
        "-I FORWARD -i cw-+ -j ACCEPT and -I FORWARD -o cw-+ -j ACCEPT)",
        name, netlink::kVxlanLink, netlink::kTunnelLink));
  }
  return doubts;
}

}  // namespace cw::routeagent
