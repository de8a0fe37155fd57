// The endpoints that this gateway announces: those of its configuration, then those of its Service
// (a cloud's load balancer, or a node port), else the addresses of its Node. Pure.
#pragma once

#include <vector>

#include "api/types/node.h"
#include "api/types/service.h"
#include "api/types/tunnel_gateway.h"
#include "gateway/config.h"

namespace cw::gateway {

inline constexpr const char* kEndpointsKnown = "EndpointsKnown";  // a condition

struct OwnEndpoints {
  std::vector<Contact> endpoints;  // best first
  // kEndpointsKnown of the TunnelGateway, without its time.
  api::Condition condition;
};

// `node` and `service` are null if the store has no such object. A load balancer has the address or
// name in the Service's status. A node port is at the addresses of the gateway's own Node.
[[nodiscard]] OwnEndpoints own_endpoints(const Config& config, const api::Node* node,
                                         const api::Service* service);

}  // namespace cw::gateway
