// Which gateway carries a prefix. Rendezvous hashing (Thaler & Ravishankar 1998): each node and
// each gateway computes the same order from the same list, without an election, and losing a
// gateway moves only the prefixes that were homed at it. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefix_set.h"

namespace cw::homing {

// A gateway of one cluster, as one viewer sees it.
struct GatewayView {
  std::uint32_t ordinal = 0;
  bool usable = false;    // by the viewer's own probes
  bool draining = false;  // by its own word; taken only if nothing else is usable
  // The prefixes of the gateway's own node: it prefers itself for them. A remote cluster may
  // announce 10,000, and each prefix is looked up.
  PrefixSet own = {};
};

// All gateways in the order in which `cluster`'s prefix `prefix` tries them, whatever their state:
// a gateway whose own node has the prefix first, then by falling hash, ties by rising ordinal.
[[nodiscard]] std::vector<std::uint32_t> home_order(std::string_view cluster, const Prefix& prefix,
                                                    std::span<const GatewayView> gateways);

// The first usable gateway of that order that is not draining; else the first usable one; else
// none.
[[nodiscard]] std::optional<std::uint32_t> home_of(std::string_view cluster, const Prefix& prefix,
                                                   std::span<const GatewayView> gateways);

}  // namespace cw::homing
