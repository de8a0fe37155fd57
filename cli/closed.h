// The nodes that still hold back a remote cluster's prefixes, according to their RouteAgents
// (docs/operations/fail-closed.md). Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/types/cluster_peer.h"
#include "api/types/route_agent.h"

namespace cw::cli {

// Cluster id -> the names of the nodes that hold back its prefixes.
using Holders = std::map<std::string, std::set<std::string>>;
[[nodiscard]] Holders holders_of(const std::vector<api::RouteAgent>& agents);

// One sentence with a remedy for each cluster whose prefixes are held back although it is not
// paired.
[[nodiscard]] std::vector<std::string> closed_without_peer(
    const Holders& holders, const std::vector<api::ClusterPeer>& peers);

}  // namespace cw::cli
