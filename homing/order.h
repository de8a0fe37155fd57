// The order of gateways for a prefix, by rendezvous hashing (Thaler & Ravishankar 1998). Each node
// and each gateway computes the same order from the same list, without an election. When a gateway
// fails, only the prefixes homed at it move. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/prefix_set.h"

namespace cw::homing {

// One gateway of a cluster, as one node or one remote gateway sees it.
struct GatewayView {
  std::uint32_t ordinal = 0;
  bool usable = false;    // by the viewer's own probes
  bool draining = false;  // announced by the gateway; used only if no other gateway is usable
  // The prefixes of the gateway's own node, for which it comes first. A PrefixSet, because a remote
  // cluster may announce 10,000 prefixes and each one is looked up.
  PrefixSet own = {};
};

// All gateways, in any state, in the order of `cluster`'s prefix `prefix`. First a gateway whose
// own node has the prefix, then by descending hash; equal hashes by ascending ordinal.
[[nodiscard]] std::vector<std::uint32_t> home_order(std::string_view cluster, const Prefix& prefix,
                                                    std::span<const GatewayView> gateways);

// The first gateway in that order that is usable and not draining, else the first usable one. No
// value: none is usable.
[[nodiscard]] std::optional<std::uint32_t> home_of(std::string_view cluster, const Prefix& prefix,
                                                   std::span<const GatewayView> gateways);

}  // namespace cw::homing
