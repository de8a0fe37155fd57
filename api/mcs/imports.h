// Which exports of a remote cluster this cluster imports: ClusterPeer.spec.imports. The gateways'
// admission asks before anything is stored, discovery asks again before anything is used, and
// `causewayctl resolve` explains. Pure.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "api/types/cluster_peer.h"

namespace cw::api {

// A rule that stands for all exports of a cluster, also over this cluster's own: the behaviour of
// KEP-1645, where exports of one name are one Service.
[[nodiscard]] ImportRule import_everything();

enum class ImportVerdict {
  kImported,
  kNotListed,  // no rule of spec.imports names it
  kOverLocal,  // this cluster exports the name itself, and no rule that names it has overLocal
};

// Without spec.imports all names are imported, but never over an export of this cluster.
// `exported_here`: this cluster has a ServiceExport of that name, valid or not. (A name must not
// change hands because an own Service is away for a moment.)
[[nodiscard]] ImportVerdict import_verdict(const ClusterPeer::Spec& peer, const ObjectKey& service,
                                           bool exported_here);
// Whether the cluster's annotations causeway.dev/* may decide who serves the name, where this
// cluster does not export it: a rule that names it has followPolicy.
[[nodiscard]] bool follows_policy(const ClusterPeer::Spec& peer, const ObjectKey& service);

// The ClusterPeers by cluster id, without those that are unpaired. Of two with the same id the
// older one counts, then the lower name.
using PeersByCluster = std::map<std::string, std::shared_ptr<const ClusterPeer>>;
[[nodiscard]] PeersByCluster peers_by_cluster(
    const std::map<ObjectKey, std::shared_ptr<const ClusterPeer>>& peers);

// The time that decides which of several exports of one name is the oldest. The sender's word
// alone would let it choose any rank, so an export is not older than the pairing, nor than the
// moment at which this cluster first saw it (the RemoteExport's creation).
[[nodiscard]] WallTime precedence_of(WallTime said, WallTime first_seen, WallTime paired);

}  // namespace cw::api
