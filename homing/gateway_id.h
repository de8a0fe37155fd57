// A gateway by its cluster and its number there, and the text that names it in logs and as a target
// of probes.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cw::homing {

struct GatewayId {
  std::string cluster;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const GatewayId&, const GatewayId&) = default;
};

// "east/0".
[[nodiscard]] std::string target_name(const GatewayId& id);
// The reverse. None for any other text.
[[nodiscard]] std::optional<GatewayId> gateway_of(std::string_view target);

}  // namespace cw::homing
