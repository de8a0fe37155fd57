#include "gateway/peers/roster.h"

#include <fmt/format.h>

#include <algorithm>

namespace cw::gateway {
namespace {

using PeerPtr = std::shared_ptr<const api::ClusterPeer>;

std::vector<PeerPtr> oldest_first(const RemoteState::Peers& peers) {
  std::vector<PeerPtr> sorted;
  for (const auto& [key, peer] : peers) sorted.push_back(peer);
  std::stable_sort(sorted.begin(), sorted.end(), [](const PeerPtr& a, const PeerPtr& b) {
    return a->meta.created < b->meta.created;
  });
  return sorted;
}

RemoteGateway joined(const Described& described, const tunnel::Key& key, Candidates candidates) {
  RemoteGateway gateway;
  gateway.key = key;
  gateway.control_address = tunnel::control_address(key);
  gateway.candidates = std::move(candidates.endpoints);
  if (described.announced != nullptr) gateway.node = described.announced->node;
  return gateway;
}

PrefixSet accepted_cidrs(const AcceptedClusters& accepted) {
  std::vector<Prefix> all;
  for (const auto& [id, cluster] : accepted) {
    all.insert(all.end(), cluster.cidrs.begin(), cluster.cidrs.end());
  }
  return PrefixSet(all);
}

// Empty: the gateway may be used.
Trouble trouble_of(const api::PeerGateway& gateway, const Result<tunnel::Key>& key,
                   const RosterInput& input, const std::map<tunnel::Key, std::string>& taken,
                   const RemoteCluster& cluster) {
  if (!key || key->is_zero()) {
    return {"InvalidKey",
            fmt::format("gateway {}: its public key cannot be read", gateway.ordinal)};
  }
  if (input.own_keys.count(*key) != 0) {
    return {"OwnKey", fmt::format("gateway {}: its public key is one of this cluster's own",
                                  gateway.ordinal)};
  }
  if (cluster.gateways.count(gateway.ordinal) != 0) {
    return {"DuplicateOrdinal", fmt::format("gateway {} is listed twice", gateway.ordinal)};
  }
  if (const auto other = taken.find(*key); other != taken.end()) {
    return {"DuplicateKey", fmt::format("gateway {}: its public key is that of {}", gateway.ordinal,
                                        other->second)};
  }
  return {};
}

using Troubles = std::map<api::ObjectKey, Trouble>;  // each with the first one of its ClusterPeer

struct Preshared {
  std::optional<tunnel::Key> key;
  bool missing = false;  // the ClusterPeer names one that was never readable
};

Preshared preshared_key(const api::ClusterPeer& peer,
                        const std::map<std::string, PresharedKey>& keys, Troubles& troubles) {
  const auto& secret = peer.spec.preshared_key_secret;
  if (secret.empty()) return {};
  const auto key = keys.find(secret);
  if (key == keys.end()) {
    troubles[peer.meta.key] = {
        "NoPresharedKey",
        fmt::format("Secret {} has no readable presharedKey. Gateways read only the Secrets in the "
                    "chart's pairing.presharedKeySecrets",
                    secret)};
    return {std::nullopt, true};
  }
  if (key->second.kept) {
    troubles[peer.meta.key] = {
        "PresharedKeyKept",
        fmt::format("Secret {} is gone or has no readable presharedKey. This gateway uses the key "
                    "that it read before; one that starts now has none. Write the Secret again, or "
                    "pair again",
                    secret)};
  }
  return {key->second.key, false};
}

void note_unusable_cidrs(const api::ClusterPeer& peer, Troubles& troubles) {
  if (peer.spec.unusable_cidrs.empty()) return;
  troubles.emplace(
      peer.meta.key,
      Trouble{"CidrUnusable",
              fmt::format("allowedCidrs: \"{}\" is no prefix and is left out. Write an address and "
                          "a length without host bits, as 10.1.0.0/16",
                          peer.spec.unusable_cidrs.front().substr(0, 64))});
}

void note_unusable_endpoints(const api::ClusterPeer& peer, const api::PeerGateway& paired,
                             Troubles& troubles) {
  if (paired.unusable_endpoints.empty()) return;
  troubles.emplace(
      peer.meta.key,
      Trouble{"EndpointUnusable",
              fmt::format("gateway {}: endpoint \"{}\" is left out. Write an address or a DNS name "
                          "with a port, as 192.0.2.1:4500 or gw0.example.com:4500",
                          paired.ordinal, paired.unusable_endpoints.front().substr(0, 64))});
}

}  // namespace

Paired paired_clusters(const std::string& own_cluster, const RemoteState::Peers& all) {
  Paired paired;
  std::map<std::string, std::string> first;  // cluster id -> ClusterPeer
  for (const auto& peer : oldest_first(all)) {
    const auto& id = peer->spec.cluster_id;
    const auto& key = peer->meta.key;
    if (id == own_cluster) {
      paired.troubles[key] = {"OwnCluster", fmt::format("cluster id {} is this cluster's own", id)};
    } else if (peer->spec.unpaired) {
      paired.troubles[key] = {"Unpaired", fmt::format("the pairing with cluster {} has ended", id)};
    } else if (!api::is_dns_label(id)) {
      paired.troubles[key] = {"InvalidClusterId", "the cluster id is no RFC 1123 label"};
    } else if (const auto [at, fresh] = first.emplace(id, key.name); !fresh) {
      paired.troubles[key] = {"DuplicateCluster",
                              fmt::format("ClusterPeer {} has cluster id {} too", at->second, id)};
    } else {
      paired.peers[key] = peer;
    }
  }
  return paired;
}

Roster roster_of(const RosterInput& input) {
  Roster roster;
  std::map<tunnel::Key, std::string> taken;
  auto sources = input.sources;
  sources.remote = accepted_cidrs(input.accepted);
  for (const auto& peer : oldest_first(input.peers)) {
    const auto& id = peer->spec.cluster_id;
    auto& cluster = roster.clusters[id];
    const auto found = input.accepted.find(id);
    if (found != input.accepted.end()) {
      cluster.cidrs = found->second.cidrs;
      cluster.nodes = found->second.nodes;
    }
    const auto preshared = preshared_key(*peer, input.preshared_keys, roster.troubles);
    if (preshared.missing) continue;
    note_unusable_cidrs(*peer, roster.troubles);
    for (const auto& paired : peer->spec.gateways) {
      const auto key = tunnel::Key::from_base64(paired.public_key);
      auto trouble = trouble_of(paired, key, input, taken, cluster);
      if (!trouble.reason.empty()) {
        roster.troubles.emplace(peer->meta.key, std::move(trouble));  // keeps the first one
        continue;
      }
      note_unusable_endpoints(*peer, paired, roster.troubles);
      const Described described{id, paired, announced_gateway(input.accepted, id, paired.ordinal)};
      auto candidates = candidates_of(described, sources);
      if (!candidates.trouble.empty()) {
        roster.troubles.emplace(peer->meta.key, Trouble{"NameUnresolved", candidates.trouble});
      }
      taken[*key] = fmt::format("{}/{}", id, paired.ordinal);
      auto gateway = joined(described, *key, std::move(candidates));
      gateway.preshared_key = preshared.key;
      cluster.gateways[paired.ordinal] = std::move(gateway);
    }
  }
  return roster;
}

}  // namespace cw::gateway
