// ClusterPeer.status, the other thing the ImportWriter writes.
#include <utility>

#include "base/log.h"
#include "gateway/feed/import_writer.h"

namespace cw::gateway {
namespace {

api::Condition condition(std::string type, bool holds, std::string reason, std::string message) {
  return {std::move(type),
          holds ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
          std::move(reason),
          std::move(message),
          0,
          {}};
}

// The status after now; `first`: of the ClusterPeers with this cluster id, the one that counts.
api::ClusterPeer::Status next_status(const api::ClusterPeer& peer, const AcceptedCluster& accepted,
                                     std::optional<bool> seen, bool first, WallTime now) {
  auto status = peer.status;
  const auto set = [&](api::Condition next) {
    next.observed_generation = peer.meta.generation;
    (void)api::set_condition(status.conditions, std::move(next), now);  // compared as a whole
  };
  if (!first) {
    status.cidrs.clear();
    status.gateways.clear();
    status.connected = false;
    set(condition("Accepted", false, "DuplicateCluster",
                  "an older ClusterPeer has cluster id " + peer.spec.cluster_id));
    return status;
  }
  status.cidrs = accepted.cidrs;
  status.gateways = accepted.gateways;
  const bool connected = seen.value_or(status.connected);
  status.connected = connected;
  set(condition("Accepted", true, "Paired", "the cluster is paired"));
  set(condition("Connected", connected, connected ? "TunnelUp" : "NoTunnel",
                connected ? "at least one tunnel carries traffic"
                          : "no tunnel to the cluster carries traffic"));
  set(claims_condition(accepted.refusals));
  if (accepted.complete) set(imports_condition(accepted.left_out));
  return status;
}

}  // namespace

void ImportWriter::write_peers() {
  if (!ready()) return;
  std::map<std::string, std::shared_ptr<const api::ClusterPeer>> first;
  for (const auto& [key, peer] : peers_.items()) {
    if (peer->spec.unpaired) continue;
    auto& slot = first[peer->spec.cluster_id];
    if (slot == nullptr || peer->meta.created < slot->meta.created) slot = peer;
  }
  for (const auto& [key, peer] : peers_.items()) {
    if (peer->spec.unpaired) continue;
    write_peer(peer, first.at(peer->spec.cluster_id) == peer);
  }
}

void ImportWriter::write_peer(const std::shared_ptr<const api::ClusterPeer>& peer, bool first) {
  const auto& key = peer->meta.key;
  const auto& cluster = peer->spec.cluster_id;
  const auto accepted = intake_.clusters().find(cluster);
  if (accepted == intake_.clusters().end() || peer_writes_.count(key) != 0) return;
  auto known = peer;
  if (const auto ours = written_peers_.find(key); ours != written_peers_.end()) {
    if (ours->second.seen == peer) {
      known = ours->second.now;
    } else {
      written_peers_.erase(ours);
    }
  }
  auto next = *known;
  next.status = next_status(*known, accepted->second, presence_.of(cluster, loop_.now()), first,
                            loop_.wall_now());
  if (next == *known) return;
  api::Object body{api::ClusterPeer::kKind, key, next.meta.resource_version, api::encode(next)};
  peer_writes_[key] = store_.update_status(std::move(body), [this, seen = peer](
                                                                const Result<api::Object>& result) {
    const auto name = seen->meta.key;
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): `seen` goes with its handle
    const auto before = seen;
    peer_writes_.erase(name);
    if (!result) {
      // Of a conflict too: by the next try the informer shows what was written.
      return failed(result.error().context("ClusterPeer " + name.to_string()));
    }
    if (auto now = api::decode<api::ClusterPeer>(result->body)) {
      now->meta.resource_version = result->resource_version;
      written_peers_[name] = {before, std::make_shared<const api::ClusterPeer>(std::move(*now))};
    }
    look_.poke();
  });
}

}  // namespace cw::gateway
