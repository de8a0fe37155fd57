// The order of gateways for an owner of prefixes, by rendezvous hashing (Thaler & Ravishankar
// 1998). Each node and each gateway computes the same order from the same list, without an
// election. When a gateway fails, only the owners homed at it move. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "homing/owner.h"

namespace cw::homing {

// One gateway of a cluster, as one node or one remote gateway sees it.
struct GatewayView {
  std::uint32_t ordinal = 0;
  bool usable = false;    // by the viewer's own probes
  bool draining = false;  // announced by the gateway; used only if no other gateway is usable
  std::string node = {};  // the gateway is on this node, and comes first for its prefixes
};

// All gateways, in any state, in the order of the owner's prefixes. First a gateway on the owner's
// own node, then by descending hash; equal hashes by ascending ordinal. Both families of an owner
// have the same order.
[[nodiscard]] std::vector<std::uint32_t> home_order(const PrefixOwner& owner,
                                                    std::span<const GatewayView> gateways);

// The first gateway in that order that is usable and not draining, else the first usable one. No
// value: none is usable.
[[nodiscard]] std::optional<std::uint32_t> home_of(const PrefixOwner& owner,
                                                   std::span<const GatewayView> gateways);

}  // namespace cw::homing
