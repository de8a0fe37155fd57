// `causewayctl status`: the status that the cluster's gateways and route agents write, in one
// report, as tables or as a tree. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/route_agent.h"
#include "api/types/service_export.h"
#include "api/types/tunnel_gateway.h"

namespace cw::cli {

struct StatusInputs {
  std::string cluster;  // empty: the cluster has no ClusterProperty
  std::vector<api::ClusterPeer> peers;
  std::vector<api::TunnelGateway> gateways;
  std::vector<api::RouteAgent> agents;
  std::vector<api::ServiceExport> exports{};
  std::vector<std::string> problems;  // objects that cannot be read
  WallTime now{};
};

// Aligned tables of clusters, gateways, tunnels and nodes, then one line per problem.
[[nodiscard]] std::string status_text(const StatusInputs& in, bool colours);
// Keys: "cluster", "prefixSource", "clusters", "gateways", "tunnels", "nodes", "problems". Times
// are in RFC 3339.
[[nodiscard]] nlohmann::ordered_json status_tree(const StatusInputs& in);

}  // namespace cw::cli
