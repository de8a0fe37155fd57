#include "gateway/claim_board.h"

#include <algorithm>

#include "gateway/tunnels.h"

namespace cw::gateway {

void ClaimBoard::set_world(const std::vector<Prefix>& own,
                           const std::map<std::string, RemoteCluster>& clusters) {
  own_prefixes_ = {own.begin(), own.end()};
  if (clusters_ != clusters) clusters_ = clusters;
  std::erase_if(own_, [&](const auto& one) {
    return own_prefixes_.count(one.first.prefix) == 0 || clusters_.count(one.first.cluster) == 0;
  });
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
  return std::all_of(working.begin(), working.end(), [&](const GatewayId& id) {
    return id.cluster != key.cluster || sender_.holds(target_name(id), key, claim);
  });
}

std::set<GatewayId> ClaimBoard::from_node(const tunnel::Probe& request,
                                          const std::set<GatewayId>& working,
                                          tunnel::Probe& reply) {
  std::set<GatewayId> tell;
  for (const auto& [key, claim, unused] : request.claims) {
    const auto cluster = clusters_.find(key.cluster);
    if (cluster == clusters_.end() || own_prefixes_.count(key.prefix) == 0) continue;
    tunnel::take_claim(own_, key, claim);
    const auto& held = own_.at(key);
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
  tunnel::Claims theirs;
  for (const auto& [key, claim] : own_) {
    if (key.cluster == to.cluster) theirs.emplace_hint(theirs.end(), key, claim);
  }
  for (const auto& key : sender_.pick(target_name(to), theirs, tunnel::kMaxClaims)) {
    request.claims.push_back({{{}, key.prefix}, theirs.at(key), false});
  }
}

void ClaimBoard::hear(const GatewayId& from, const tunnel::Probe& reply) {
  for (const auto& [wire_key, claim, unused] : reply.claims) {
    const tunnel::ClaimKey key{from.cluster, wire_key.prefix};
    const auto mine = own_.find(key);
    if (mine == own_.end()) continue;
    // A higher epoch is what was claimed before a restart of ours; the node learns it from our
    // answer and outbids it.
    (void)tunnel::take_claim(own_, key, claim);
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
  for (const auto& [key, claim] : own_) {
    if (claim.ordinal == ordinal) prefixes.insert(key.prefix);
  }
  return prefixes;
}

bool ClaimBoard::claimed(const Prefix& own) const {
  return std::any_of(own_.begin(), own_.end(),
                     [&](const auto& one) { return one.first.prefix == own; });
}

}  // namespace cw::gateway
