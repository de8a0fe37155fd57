#include "api/mcs/imports.h"

#include <algorithm>

namespace cw::api {
namespace {

bool names(const ImportRule& rule, const ObjectKey& service) {
  return (rule.ns == "*" || rule.ns == service.ns) &&
         (rule.service == "*" || rule.service == service.name);
}

}  // namespace

ImportRule import_everything() { return {"*", "*", true, false}; }

ImportVerdict import_verdict(const ClusterPeer::Spec& peer, const ObjectKey& service,
                             bool exported_here) {
  if (!peer.imports) {
    return exported_here ? ImportVerdict::kOverLocal : ImportVerdict::kImported;
  }
  bool listed = false;
  for (const auto& rule : *peer.imports) {
    if (!names(rule, service)) continue;
    if (!exported_here || rule.over_local) return ImportVerdict::kImported;
    listed = true;
  }
  return listed ? ImportVerdict::kOverLocal : ImportVerdict::kNotListed;
}

bool follows_policy(const ClusterPeer::Spec& peer, const ObjectKey& service) {
  return peer.imports &&
         std::any_of(peer.imports->begin(), peer.imports->end(), [&](const ImportRule& rule) {
           return rule.follow_policy && names(rule, service);
         });
}

PeersByCluster peers_by_cluster(
    const std::map<ObjectKey, std::shared_ptr<const ClusterPeer>>& peers) {
  PeersByCluster clusters;
  for (const auto& [key, peer] : peers) {
    if (peer->spec.unpaired) continue;
    auto& slot = clusters[peer->spec.cluster_id];
    if (slot == nullptr || peer->meta.created < slot->meta.created) slot = peer;
  }
  return clusters;
}

WallTime precedence_of(WallTime said, WallTime first_seen, WallTime paired) {
  return std::max({said, first_seen, paired});
}

}  // namespace cw::api
