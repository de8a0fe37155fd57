// The parties of probes: gateways and nodes.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>

namespace cw::tunnel {

// A gateway, by its cluster's id and its number there.
struct GatewayId {
  std::string cluster;
  std::uint32_t ordinal = 0;
  friend auto operator<=>(const GatewayId&, const GatewayId&) = default;
};

// A node of the own cluster.
struct NodeName {
  std::string name;
  friend auto operator<=>(const NodeName&, const NodeName&) = default;
};

using ProbeParty = std::variant<GatewayId, NodeName>;

// "east/0", for logs.
[[nodiscard]] inline std::string to_string(const GatewayId& id) {
  return id.cluster + "/" + std::to_string(id.ordinal);
}

// The text by which a party is part of its party id (packet.h): "east/0", or the Node's name. A
// Node's name has no slash, so the two never meet.
[[nodiscard]] inline std::string party_name(const ProbeParty& party) {
  if (const auto* gateway = std::get_if<GatewayId>(&party)) return to_string(*gateway);
  return std::get<NodeName>(party).name;
}

}  // namespace cw::tunnel
