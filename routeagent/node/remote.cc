#include "routeagent/node/remote.h"

#include <algorithm>
#include <iterator>

#include "base/prefix_set.h"

namespace cw::routeagent {

RemoteCluster remote_cluster(const api::ClusterPeer& peer) {
  RemoteCluster remote{peer.spec.cluster_id, {}, {}};
  const PrefixSet allowed(peer.spec.allowed_cidrs);
  std::copy_if(peer.status.cidrs.begin(), peer.status.cidrs.end(),
               std::back_inserter(remote.prefixes),
               [&](const Prefix& prefix) { return allowed.covering(prefix).has_value(); });
  for (const auto& gateway : peer.spec.gateways) {
    if (const auto key = tunnel::Key::from_base64(gateway.public_key)) {
      remote.gateways.insert(*key);
    }
  }
  return remote;
}

}  // namespace cw::routeagent
