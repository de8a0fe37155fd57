#include "cli/closed.h"

#include <fmt/format.h>

namespace cw::cli {

Holders holders_of(const std::vector<api::RouteAgent>& agents) {
  Holders holders;
  for (const auto& agent : agents) {
    for (const auto& cluster : agent.status.closed) holders[cluster].insert(agent.meta.key.name);
  }
  return holders;
}

std::vector<std::string> closed_without_peer(const Holders& holders,
                                             const std::vector<api::ClusterPeer>& peers) {
  std::set<std::string> paired;
  std::set<std::string> unpaired;
  for (const auto& peer : peers) {
    (peer.spec.unpaired ? unpaired : paired).insert(peer.spec.cluster_id);
  }
  std::vector<std::string> sentences;
  for (const auto& [cluster, nodes] : holders) {
    if (paired.count(cluster) != 0) continue;
    sentences.push_back(fmt::format(
        "cluster {}: {}, but {} {} back its prefixes ({}): `causewayctl unpair {}` opens them",
        cluster, unpaired.count(cluster) != 0 ? "it is being unpaired" : "no ClusterPeer names it",
        nodes.size() == 1 ? "1 node" : fmt::format("{} nodes", nodes.size()),
        nodes.size() == 1 ? "holds" : "hold",
        nodes.size() > 5 ? *nodes.begin() + ", ..." : fmt::format("{}", fmt::join(nodes, ", ")),
        cluster));
  }
  return sentences;
}

}  // namespace cw::cli
