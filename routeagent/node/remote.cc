#include "routeagent/node/remote.h"

namespace cw::routeagent {

RemoteCluster remote_cluster(const api::ClusterPeer& peer) {
  RemoteCluster remote{peer.spec.cluster_id, api::trusted_cidrs(peer), {}};
  for (const auto& gateway : peer.spec.gateways) {
    if (const auto key = tunnel::Key::from_base64(gateway.public_key)) {
      remote.gateways.insert(*key);
    }
  }
  return remote;
}

}  // namespace cw::routeagent
