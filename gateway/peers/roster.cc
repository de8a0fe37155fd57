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

const api::LearnedGateway* learned(const AcceptedCluster* accepted, std::uint32_t ordinal) {
  if (accepted == nullptr) return nullptr;
  const auto found =
      std::find_if(accepted->gateways.begin(), accepted->gateways.end(),
                   [ordinal](const auto& gateway) { return gateway.gateway.ordinal == ordinal; });
  return found == accepted->gateways.end() ? nullptr : &*found;
}

RemoteGateway joined(const api::PeerGateway& paired, const tunnel::Key& key,
                     const api::LearnedGateway* announced) {
  RemoteGateway gateway;
  gateway.key = key;
  gateway.control_address = tunnel::control_address(key);
  gateway.candidates = paired.endpoints;
  // A gateway that was paired without endpoints cannot be reached from outside. The endpoints that
  // it announces are addresses of its own site.
  if (announced == nullptr) return gateway;
  gateway.own = announced->own;
  if (paired.endpoints.empty()) return gateway;
  for (const auto& endpoint : announced->gateway.endpoints) {
    if (std::find(gateway.candidates.begin(), gateway.candidates.end(), endpoint) ==
        gateway.candidates.end()) {
      gateway.candidates.push_back(endpoint);
    }
  }
  return gateway;
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
  for (const auto& peer : oldest_first(input.peers)) {
    const auto& id = peer->spec.cluster_id;
    auto& cluster = roster.clusters[id];
    const auto found = input.accepted.find(id);
    const auto* accepted = found == input.accepted.end() ? nullptr : &found->second;
    if (accepted != nullptr) cluster.cidrs = accepted->cidrs;
    std::optional<tunnel::Key> preshared;
    if (const auto& secret = peer->spec.preshared_key_secret; !secret.empty()) {
      const auto key = input.preshared_keys.find(secret);
      if (key == input.preshared_keys.end()) {
        roster.troubles[peer->meta.key] = {
            "NoPresharedKey",
            fmt::format("Secret {} has no readable presharedKey. Gateways read only the Secrets in "
                        "the chart's pairing.presharedKeySecrets",
                        secret)};
        continue;
      }
      preshared = key->second.key;
      if (key->second.kept) {
        roster.troubles[peer->meta.key] = {
            "PresharedKeyKept",
            fmt::format("Secret {} is gone or has no readable presharedKey. This gateway uses the "
                        "key that it read before; one that starts now has none. Write the Secret "
                        "again, or pair again",
                        secret)};
      }
    }
    if (!peer->spec.unusable_cidrs.empty()) {
      roster.troubles.emplace(
          peer->meta.key,
          Trouble{"CidrUnusable",
                  fmt::format("allowedCidrs: \"{}\" is no prefix and is left out. Write an address "
                              "and a length without host bits, as 10.1.0.0/16",
                              peer->spec.unusable_cidrs.front().substr(0, 64))});
    }
    for (const auto& paired : peer->spec.gateways) {
      const auto key = tunnel::Key::from_base64(paired.public_key);
      auto trouble = trouble_of(paired, key, input, taken, cluster);
      if (!trouble.reason.empty()) {
        roster.troubles.emplace(peer->meta.key, std::move(trouble));  // keeps the first one
        continue;
      }
      if (!paired.unusable_endpoints.empty()) {
        roster.troubles.emplace(
            peer->meta.key,
            Trouble{"EndpointUnusable",
                    fmt::format("gateway {}: endpoint \"{}\" is no address with a port and is left "
                                "out. Names are not looked up: write the address they stand for",
                                paired.ordinal, paired.unusable_endpoints.front().substr(0, 64))});
      }
      taken[*key] = fmt::format("{}/{}", id, paired.ordinal);
      auto gateway = joined(paired, *key, learned(accepted, paired.ordinal));
      gateway.preshared_key = preshared;
      cluster.gateways[paired.ordinal] = std::move(gateway);
    }
  }
  return roster;
}

}  // namespace cw::gateway
