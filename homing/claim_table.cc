#include "homing/claim_table.h"

#include <algorithm>
#include <utility>

namespace cw::homing {

namespace {

// Whether `theirs` must be outbid before `ours` counts everywhere. What cannot be outbid is no
// honest claim; it goes away when the one that says it does not say it any more.
bool stands_above(const Claim& theirs, const Claim& ours) {
  return theirs != ours && theirs.epoch >= ours.epoch && theirs.epoch < kMaxEpoch;
}

}  // namespace

void ClaimTable::set_world(const std::map<std::string, std::vector<Prefix>>& nodes,
                           const std::map<std::string, RemoteCluster>& clusters, TimePoint now) {
  nodes_.clear();
  std::map<Prefix, std::string> owners;
  for (const auto& [node, prefixes] : nodes) {
    nodes_[node] = {prefixes.begin(), prefixes.end()};
    for (const auto& prefix : prefixes) owners.emplace(prefix, node);
  }
  const auto before = std::exchange(owners_, std::move(owners));
  for (auto& [cluster, claims] : own_) {
    // The word of a node that has lost the prefix does not bind the one that has it now.
    std::erase_if(claims, [&, &id = cluster](const auto& one) {
      const auto old = before.find(one.first);
      const auto owner = owners_.find(one.first);
      const bool gone =
          owner == owners_.end() || (old != before.end() && old->second != owner->second);
      if (gone) relay_.lost(id, one.first);
      return gone;
    });
  }
  if (clusters_ != clusters) {
    clusters_ = clusters;
    cidrs_.clear();
    for (const auto& [id, cluster] : clusters_) {
      cidrs_[id] = {cluster.cidrs.begin(), cluster.cidrs.end()};
    }
  }
  forget_departed(now);
}

// Whether a gateway of the cluster may still speak of the prefix, and did.
bool ClaimTable::still_told(const ClaimKey& key, Remote& remote, TimePoint now) const {
  const auto cluster = clusters_.find(key.cluster);
  if (cluster == clusters_.end() || cidrs_.at(key.cluster).count(key.prefix) == 0) return false;
  const bool any = remote.words.keep(
      [&](std::uint32_t ordinal) { return cluster->second.gateways.count(ordinal) != 0; });
  if (any) remote.held = remote.words.held(now);
  return any;
}

void ClaimTable::forget_departed(TimePoint now) {
  std::erase_if(own_, [&](const auto& one) { return clusters_.count(one.first) == 0; });
  std::erase_if(contested_, [&](const auto& one) {
    const auto claims = own_.find(one.first.cluster);
    return claims == own_.end() || claims->second.count(one.first.prefix) == 0;
  });
  for (auto at = remote_.begin(); at != remote_.end();) {
    at = still_told(at->first, at->second, now) ? std::next(at) : remote_.erase(at);
  }
  std::set<GatewayId> targets;
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) targets.insert({cluster, ordinal});
  }
  relay_.set_targets(targets);
  std::erase_if(heard_, [&](const auto& one) { return nodes_.count(one.first) == 0; });
}

bool ClaimTable::settled(const ClaimKey& key, const Claim& claim,
                         const std::set<GatewayId>& working) const {
  for (auto id = working.lower_bound({key.cluster, 0});
       id != working.end() && id->cluster == key.cluster; ++id) {
    if (!relay_.holds(*id, key.prefix, claim)) return false;
  }
  return true;
}

const Claim* ClaimTable::above(const ClaimKey& key, const Claim& ours) const {
  const auto at = contested_.find(key);
  return at != contested_.end() && stands_above(at->second, ours) ? &at->second : nullptr;
}

std::set<GatewayId> ClaimTable::from_node(const std::string& node, const Heard& heard,
                                          const tunnel::Probe& request,
                                          const std::set<GatewayId>& working,
                                          tunnel::Probe& reply) {
  std::set<GatewayId> tell;
  const auto prefixes = nodes_.find(node);
  if (prefixes == nodes_.end()) return tell;
  const bool fresh = heard.fresh;
  std::vector<ProbeClaim> answers;
  if (fresh) heard_[node] = heard.now;
  for (const auto& [key, claim, unused, old] : claims_of(request)) {
    const auto cluster = clusters_.find(key.cluster);
    if (cluster == clusters_.end() || prefixes->second.count(key.prefix) == 0 ||
        claim.epoch > kMaxEpoch) {
      continue;
    }
    auto& claims = own_[key.cluster];
    auto at = claims.find(key.prefix);
    if (!fresh && at == claims.end()) continue;
    if (fresh && (at == claims.end() || at->second != claim)) {
      // The node's newest word counts here, whatever we held. That it may count everywhere the node
      // hears once of the higher claim that it had before a restart, or that stood in its way.
      if (at != claims.end() && stands_above(at->second, claim)) contested_[key] = at->second;
      at = claims.insert_or_assign(key.prefix, claim).first;
      relay_.changed(key.cluster, key.prefix);
    }
    const auto& held = at->second;
    if (const auto* higher = above(key, held)) {
      answers.push_back({key, *higher, false});
      if (fresh) contested_.erase(key);  // who holds it will say so again
    } else {
      answers.push_back({key, held, settled(key, held, working)});
    }
    if (answers.back().settled) continue;
    for (const auto& [ordinal, gateway] : cluster->second.gateways) {
      const GatewayId id{key.cluster, ordinal};
      if (!relay_.holds(id, key.prefix, held) && relay_.due(id, heard.now)) tell.insert(id);
    }
  }
  put_claims(answers, reply);
  return tell;
}

std::map<Prefix, GatewayId> ClaimTable::from_remote(const GatewayId& from, const Heard& heard,
                                                    const tunnel::Probe& request,
                                                    tunnel::Probe& reply) {
  const auto& [fresh, now] = heard;
  std::map<Prefix, GatewayId> changed;
  const auto cluster = clusters_.find(from.cluster);
  if (cluster == clusters_.end() || cluster->second.gateways.count(from.ordinal) == 0) {
    return changed;
  }
  const auto& cidrs = cidrs_.at(from.cluster);
  std::vector<ProbeClaim> answers;
  for (const auto& [wire_key, claim, unused, old] : claims_of(request)) {
    if (!wire_key.cluster.empty() || cluster->second.gateways.count(claim.ordinal) == 0 ||
        cidrs.count(wire_key.prefix) == 0 || claim.epoch > kMaxEpoch) {
      continue;  // not accepted of that cluster (yet): not confirmed
    }
    const ClaimKey key{from.cluster, wire_key.prefix};
    auto at = remote_.find(key);
    if (!fresh && at == remote_.end()) continue;
    if (fresh) {
      const bool first = at == remote_.end();
      if (first) at = remote_.emplace(key, Remote{}).first;
      auto& [words, held] = at->second;
      words.say(from.ordinal, claim, now, old);
      const auto next = words.held(now);
      if (first || next.ordinal != held.ordinal) {
        changed.insert_or_assign(key.prefix, GatewayId{from.cluster, next.ordinal});
      }
      held = next;
    }
    answers.push_back({wire_key, at->second.held, false});
  }
  put_claims(answers, reply);
  return changed;
}

// The node that has the prefix does not reach us: others may have a newer word of it.
bool ClaimTable::is_old(const Prefix& prefix, TimePoint now) const {
  const auto owner = owners_.find(prefix);
  const auto at = owner == owners_.end() ? heard_.end() : heard_.find(owner->second);
  return at == heard_.end() || now - at->second >= Words::kLife;
}

void ClaimTable::fill(const GatewayId& to, TimePoint now, tunnel::Probe& request) {
  const auto theirs = own_.find(to.cluster);
  if (theirs == own_.end()) return;
  std::vector<ProbeClaim> claims;
  for (const auto& prefix : relay_.pick(to, theirs->second, kMaxClaims, now)) {
    claims.push_back({{{}, prefix}, theirs->second.at(prefix), false, is_old(prefix, now)});
  }
  put_claims(claims, request);
}

void ClaimTable::hear(const GatewayId& from, TimePoint now, const tunnel::Probe& reply) {
  const auto told = own_.find(from.cluster);
  if (told == own_.end()) return;
  for (const auto& [wire_key, claim, unused, old] : claims_of(reply)) {
    const ClaimKey key{from.cluster, wire_key.prefix};
    const auto mine = told->second.find(key.prefix);
    if (mine == told->second.end()) continue;
    if (mine->second == claim) {
      relay_.heard(from, key.prefix, claim);
    } else if (stands_above(claim, mine->second)) {
      // Another gateway of ours has told a higher claim, of before the node's restart or of a
      // moment ago. Only the node changes its word; it hears of this in our next answer.
      auto& higher = contested_[key];
      if (claim.epoch >= higher.epoch) higher = claim;
      relay_.overruled(from, key.prefix, mine->second);
    } else if (is_old(key.prefix, now)) {
      relay_.overruled(from, key.prefix, mine->second);
    }
  }
}

void ClaimTable::forget(const GatewayId& id) { relay_.forget(id); }

std::map<Prefix, GatewayId> ClaimTable::remote() const {
  std::map<Prefix, GatewayId> claimed;
  for (const auto& [key, remote] : remote_) {
    claimed.emplace(key.prefix, GatewayId{key.cluster, remote.held.ordinal});
  }
  return claimed;
}

std::set<Prefix> ClaimTable::carried_by(std::uint32_t ordinal) const {
  std::set<Prefix> prefixes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [prefix, claim] : claims) {
      const auto* higher = above({cluster, prefix}, claim);
      if ((higher == nullptr ? claim : *higher).ordinal == ordinal) prefixes.insert(prefix);
    }
  }
  return prefixes;
}

std::set<Prefix> ClaimTable::claimed() const {
  std::set<Prefix> prefixes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [prefix, claim] : claims) prefixes.insert(prefix);
  }
  return prefixes;
}

}  // namespace cw::homing
