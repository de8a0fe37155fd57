// `causewayctl status`: what the cluster's gateways and route agents say of themselves, gathered
// into one report and written as tables or as a tree. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/gateway.h"
#include "api/types/route_agent.h"
#include "api/types/service_export.h"

namespace cw::cli {

struct StatusInputs {
  std::string cluster;  // empty: unnamed
  std::vector<api::ClusterPeer> peers;
  std::vector<api::Gateway> gateways;
  std::vector<api::RouteAgent> agents;
  std::vector<api::ServiceExport> exports{};
  std::vector<std::string> problems;  // objects that could not be read
  WallTime now{};
};

// Aligned tables: clusters, gateways, tunnels, nodes; then what is wrong, one line each.
[[nodiscard]] std::string status_text(const StatusInputs& in, bool colours);
// {"cluster", "clusters", "gateways", "tunnels", "nodes", "problems"}; times in RFC 3339.
[[nodiscard]] nlohmann::ordered_json status_tree(const StatusInputs& in);

}  // namespace cw::cli
