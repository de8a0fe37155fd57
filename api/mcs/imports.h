// Which exports of a remote cluster this cluster imports: ClusterPeer.spec.imports. The gateway's
// admission asks before it stores an export, discovery asks again before it uses one, and
// `causewayctl resolve` explains the answer. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "api/types/cluster_peer.h"

namespace cw::api {

// A rule for all exports of a cluster, including names that this cluster exports itself. That is
// the behaviour of KEP-1645, where all exports of one name form one Service.
[[nodiscard]] ImportRule import_everything();

enum class ImportVerdict {
  kImported,
  kNotListed,  // no rule of spec.imports names the Service
  kOverLocal,  // this cluster exports the name too, and no rule that names it has overLocal
};

// Without spec.imports all names are imported, except those that this cluster exports itself.
// `exported_here`: this cluster has a ServiceExport of that name, valid or not. Validity does not
// count, because a name must not move while the cluster's own Service is missing for a moment.
[[nodiscard]] ImportVerdict import_verdict(const ClusterPeer::Spec& peer, const ObjectKey& service,
                                           bool exported_here);
// True: a rule that names the Service has followPolicy. Then the cluster's annotations
// causeway.dev/* may decide which clusters serve the name, provided this cluster does not export
// it.
[[nodiscard]] bool follows_policy(const ClusterPeer::Spec& peer, const ObjectKey& service);

// The ClusterPeers by cluster id, without unpaired ones. If two have the same id, the older one
// counts, or the one with the lower name if they are equally old.
using PeersByCluster = std::map<std::string, std::shared_ptr<const ClusterPeer>>;
[[nodiscard]] PeersByCluster peers_by_cluster(
    const std::map<ObjectKey, std::shared_ptr<const ClusterPeer>>& peers);

// The time that decides which of several exports of one name is the oldest. The sender's own time
// would let it choose any rank. So an export is not older than the pairing, and not older than its
// RemoteExport's creation, when this cluster first saw it.
[[nodiscard]] WallTime precedence_of(WallTime said, WallTime first_seen, WallTime paired);

}  // namespace cw::api
