// The TunnelGateway object of this gateway, from the current measurements. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/types/tunnel_gateway.h"
#include "gateway/own_endpoints.h"
#include "gateway/own_identity.h"
#include "gateway/tunnels.h"
#include "homing/claim_table.h"

namespace cw::gateway {

[[nodiscard]] api::ObjectKey gateway_key(std::uint32_t ordinal);  // "gateway-0"

// One tunnel per remote gateway, in order.
[[nodiscard]] std::vector<api::TunnelStatus> tunnel_statuses(const Tunnels& tunnels);

// Another local gateway according to its object. It is usable if its condition Ready is True.
[[nodiscard]] homing::GatewayView local_view(const api::TunnelGateway& gateway);

struct ObjectInput {
  const Config& config;
  const ClusterView& view;
  const Identity& identity;
  const Tunnels& tunnels;
  const homing::ClaimTable& claims;
  const OwnEndpoints& endpoints;
  std::vector<api::ObservedEndpoint> observed;
  std::string driver;
  bool draining = false;
  std::vector<std::string> not_ready;
  WallTime now;
};
[[nodiscard]] api::TunnelGateway desired_object(const ObjectInput& input);

}  // namespace cw::gateway
