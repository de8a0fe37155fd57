#include "gateway/claim_board.h"

#include <algorithm>

#include "gateway/tunnels.h"

namespace cw::gateway {

void ClaimBoard::set_world(const std::vector<Prefix>& own,
                           const std::map<std::string, RemoteCluster>& clusters) {
  own_prefixes_ = {own.begin(), own.end()};
  if (clusters_ != clusters) clusters_ = clusters;
  auto gone = std::erase_if(own_, [&](const auto& one) { return clusters_.count(one.first) == 0; });
  for (auto& [cluster, claims] : own_) {
    gone += std::erase_if(
        claims, [&](const auto& one) { return own_prefixes_.count(one.first.prefix) == 0; });
  }
  if (gone > 0) ++own_version_;
  std::erase_if(remote_, [&](const auto& one) {
    const auto cluster = clusters_.find(one.first.cluster);
    if (cluster == clusters_.end()) return true;
    const auto& cidrs = cluster->second.cidrs;
    return std::find(cidrs.begin(), cidrs.end(), one.first.prefix) == cidrs.end();
  });
  std::set<std::string> targets;
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      targets.insert(target_name({cluster, ordinal}));
    }
  }
  sender_.keep_only(targets);
}

bool ClaimBoard::settled(const tunnel::ClaimKey& key, const tunnel::Claim& claim,
                         const std::set<GatewayId>& working) const {
  for (auto id = working.lower_bound({key.cluster, 0});
       id != working.end() && id->cluster == key.cluster; ++id) {
    if (!sender_.holds(target_name(*id), key, claim)) return false;
  }
  return true;
}

std::set<GatewayId> ClaimBoard::from_node(const tunnel::Probe& request,
                                          const std::set<GatewayId>& working,
                                          tunnel::Probe& reply) {
  std::set<GatewayId> tell;
  for (const auto& [key, claim, unused] : request.claims) {
    const auto cluster = clusters_.find(key.cluster);
    if (cluster == clusters_.end() || own_prefixes_.count(key.prefix) == 0) continue;
    auto& claims = own_[key.cluster];
    if (tunnel::take_claim(claims, key, claim)) ++own_version_;
    const auto& held = claims.at(key);
    const bool done = settled(key, held, working);
    reply.claims.push_back({key, held, done});
    if (done) continue;
    for (const auto& [ordinal, gateway] : cluster->second.gateways) {
      const GatewayId id{key.cluster, ordinal};
      if (!sender_.holds(target_name(id), key, held)) tell.insert(id);
    }
  }
  return tell;
}

bool ClaimBoard::from_remote(const std::string& cluster, const tunnel::Probe& request,
                             tunnel::Probe& reply) {
  const auto known = clusters_.find(cluster);
  if (known == clusters_.end()) return false;
  const auto& cidrs = known->second.cidrs;
  bool changed = false;
  for (const auto& [wire_key, claim, unused] : request.claims) {
    if (!wire_key.cluster.empty() || known->second.gateways.count(claim.ordinal) == 0 ||
        std::find(cidrs.begin(), cidrs.end(), wire_key.prefix) == cidrs.end()) {
      continue;  // not accepted of that cluster (yet): not confirmed
    }
    const tunnel::ClaimKey key{cluster, wire_key.prefix};
    const auto before = remote_.find(key);
    const bool moves = before == remote_.end() || before->second.ordinal != claim.ordinal;
    if (tunnel::take_claim(remote_, key, claim) && moves) changed = true;
    reply.claims.push_back({wire_key, remote_.at(key), false});
  }
  return changed;
}

void ClaimBoard::fill(const GatewayId& to, tunnel::Probe& request) {
  const auto theirs = own_.find(to.cluster);
  if (theirs == own_.end()) return;
  for (const auto& key :
       sender_.pick(target_name(to), theirs->second, tunnel::kMaxClaims, own_version_)) {
    request.claims.push_back({{{}, key.prefix}, theirs->second.at(key), false});
  }
}

void ClaimBoard::hear(const GatewayId& from, const tunnel::Probe& reply) {
  const auto told = own_.find(from.cluster);
  if (told == own_.end()) return;
  for (const auto& [wire_key, claim, unused] : reply.claims) {
    const tunnel::ClaimKey key{from.cluster, wire_key.prefix};
    const auto mine = told->second.find(key);
    if (mine == told->second.end()) continue;
    // A higher epoch is what was claimed before a restart of ours; the node learns it from our
    // answer and outbids it.
    if (tunnel::take_claim(told->second, key, claim)) ++own_version_;
    if (mine->second == claim) sender_.heard(target_name(from), key, claim);
  }
}

std::map<Prefix, GatewayId> ClaimBoard::remote() const {
  std::map<Prefix, GatewayId> claimed;
  for (const auto& [key, claim] : remote_) {
    claimed.emplace(key.prefix, GatewayId{key.cluster, claim.ordinal});
  }
  return claimed;
}

std::set<Prefix> ClaimBoard::carried_by(std::uint32_t ordinal) const {
  std::set<Prefix> prefixes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [key, claim] : claims) {
      if (claim.ordinal == ordinal) prefixes.insert(key.prefix);
    }
  }
  return prefixes;
}

std::set<Prefix> ClaimBoard::claimed() const {
  std::set<Prefix> prefixes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [key, claim] : claims) prefixes.insert(key.prefix);
  }
  return prefixes;
}

}  // namespace cw::gateway
