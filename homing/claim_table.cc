#include "homing/claim_table.h"

#include <algorithm>
#include <tuple>
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
  std::map<std::string, Node> next;
  std::map<OwnerId, std::string> names;
  for (const auto& [name, prefixes] : nodes) {
    const auto before = nodes_.find(name);
    const auto id = before == nodes_.end() ? owner_id(name) : before->second.id;
    next[name] = {id, families_of(prefixes)};
    names[id] = name;
  }
  nodes_ = std::move(next);
  names_ = std::move(names);
  for (auto& [cluster, claims] : own_) {
    std::erase_if(claims, [&, &id = cluster](const auto& one) {
      const auto& [owner, family] = one.first;
      const auto name = names_.find(owner);
      const bool gone = name == names_.end() || nodes_.at(name->second).families.count(family) == 0;
      if (gone) relay_.lost(id, one.first);
      return gone;
    });
  }
  if (clusters_ != clusters) {
    clusters_ = clusters;
    shares_.clear();
    for (const auto& [id, cluster] : clusters_) {
      auto& shares = shares_[id];
      for (const auto& [name, prefixes] : cluster.nodes) {
        for (const auto family : families_of(prefixes)) shares.insert({owner_id(name), family});
      }
    }
  }
  forget_departed(now);
}

// Whether a gateway of the cluster may still speak of the node, and did.
bool ClaimTable::still_told(const ClaimKey& key, Remote& remote, TimePoint now) const {
  const auto cluster = clusters_.find(key.cluster);
  if (cluster == clusters_.end() || shares_.at(key.cluster).count(key.share) == 0) return false;
  const bool any = remote.words.keep(
      [&](std::uint32_t ordinal) { return cluster->second.gateways.count(ordinal) != 0; });
  if (any) remote.held = remote.words.held(now);
  return any;
}

void ClaimTable::forget_departed(TimePoint now) {
  std::erase_if(own_, [&](const auto& one) { return clusters_.count(one.first) == 0; });
  std::erase_if(contested_, [&](const auto& one) {
    const auto claims = own_.find(one.first.cluster);
    return claims == own_.end() || claims->second.count(one.first.share) == 0;
  });
  for (auto at = remote_.begin(); at != remote_.end();) {
    at = still_told(at->first, at->second, now) ? std::next(at) : remote_.erase(at);
  }
  std::set<GatewayId> targets;
  for (const auto& [cluster, remote] : clusters_) {
    for (const auto& [ordinal, gateway] : remote.gateways) targets.insert({cluster, ordinal});
  }
  relay_.set_targets(targets);
  elections_.keep_only([this](const ClaimKey& key) {
    const auto whole = nodes_.find({});
    return clusters_.count(key.cluster) != 0 && whole != nodes_.end() &&
           whole->second.families.count(key.share.family) != 0;
  });
  std::erase_if(heard_, [&](const auto& one) { return nodes_.count(one.first) == 0; });
}

bool ClaimTable::settled(const ClaimKey& key, const Claim& claim,
                         const std::set<GatewayId>& working) const {
  for (auto id = working.lower_bound({key.cluster, 0});
       id != working.end() && id->cluster == key.cluster; ++id) {
    if (!relay_.holds(*id, key.share, claim)) return false;
  }
  return true;
}

const Claim* ClaimTable::above(const ClaimKey& key, const Claim& ours) const {
  const auto at = contested_.find(key);
  return at != contested_.end() && stands_above(at->second, ours) ? &at->second : nullptr;
}

std::optional<ProbeClaim> ClaimTable::take_claim(const Node& node, const ProbeClaim& said,
                                                 bool fresh, const std::set<GatewayId>& working) {
  const auto& [cluster, share] = said.key;
  if (share.owner != node.id || node.families.count(share.family) == 0) return std::nullopt;
  auto& claims = own_[cluster];
  auto at = claims.find(share);
  if (!fresh && at == claims.end()) return std::nullopt;
  if (fresh && (at == claims.end() || at->second != said.claim)) {
    // The node's newest word counts here, whatever we held. That it may count everywhere the node
    // hears once of the higher claim that it had before a restart, or that stood in its way.
    if (at != claims.end() && stands_above(at->second, said.claim)) {
      contested_[said.key] = at->second;
    }
    at = claims.insert_or_assign(share, said.claim).first;
    relay_.changed(cluster, share);
  }
  if (const auto* higher = above(said.key, at->second)) {
    const ProbeClaim answer{said.key, *higher, false};
    if (fresh) contested_.erase(said.key);  // who holds it will say so again
    return answer;
  }
  return ProbeClaim{said.key, at->second, settled(said.key, at->second, working)};
}

std::optional<ProbeClaim> ClaimTable::take_vote(const std::string& node, const ProbeClaim& said,
                                                const Heard& heard,
                                                const std::set<GatewayId>& working) {
  const auto& [cluster, share] = said.key;
  const auto whole = nodes_.find({});
  if (whole == nodes_.end() || whole->second.families.count(share.family) == 0) return std::nullopt;
  if (heard.fresh) heard_[{}] = heard.now;
  const Vote vote{said.claim, said.word, said.objects, said.hold};
  const auto result = heard.fresh ? elections_.vote(said.key, node, vote, heard.now)
                                  : Elections::Result{elections_.held(said.key)};
  ProbeClaim answer{said.key, result.held};
  answer.word = true;
  answer.hold = result.prepare;
  if (result.held.epoch == 0) return answer;
  auto& claims = own_[cluster];
  if (result.changed || claims.count(share) == 0) {
    claims.insert_or_assign(share, result.held);
    relay_.changed(cluster, share);
  }
  if (const auto* higher = above(said.key, result.held)) {
    answer = {said.key, *higher, false};  // no gateway's word: the nodes have to outbid it
    return answer;
  }
  answer.settled = settled(said.key, result.held, working);
  return answer;
}

std::set<GatewayId> ClaimTable::from_node(const std::string& node, const Heard& heard,
                                          const tunnel::Probe& request,
                                          const std::set<GatewayId>& working,
                                          tunnel::Probe& reply) {
  std::set<GatewayId> tell;
  const auto known = nodes_.find(node);
  std::vector<ProbeClaim> answers;
  if (heard.fresh && known != nodes_.end()) heard_[node] = heard.now;
  for (const auto& said : claims_of(request)) {
    const auto cluster = clusters_.find(said.key.cluster);
    if (cluster == clusters_.end() || said.claim.epoch > kMaxEpoch) continue;
    std::optional<ProbeClaim> answer;
    if (said.key.share.owner == OwnerId{}) {
      answer = take_vote(node, said, heard, working);
    } else if (known != nodes_.end()) {
      answer = take_claim(known->second, said, heard.fresh, working);
    }
    if (!answer) continue;
    answers.push_back(*answer);
    const auto held = own_[said.key.cluster].find(said.key.share);
    if (answer->settled || held == own_[said.key.cluster].end()) continue;
    for (const auto& [ordinal, gateway] : cluster->second.gateways) {
      const GatewayId id{said.key.cluster, ordinal};
      if (!relay_.holds(id, said.key.share, held->second) && relay_.due(id, heard.now)) {
        tell.insert(id);
      }
    }
  }
  put_claims(answers, reply);
  return tell;
}

ClaimFlow::Claimed ClaimTable::from_remote(const GatewayId& from, const Heard& heard,
                                           const tunnel::Probe& request, tunnel::Probe& reply) {
  const auto& [fresh, now] = heard;
  ClaimFlow::Claimed changed;
  const auto cluster = clusters_.find(from.cluster);
  if (cluster == clusters_.end() || cluster->second.gateways.count(from.ordinal) == 0) {
    return changed;
  }
  const auto& shares = shares_.at(from.cluster);
  std::vector<ProbeClaim> answers;
  for (const auto& said : claims_of(request)) {
    const auto& [wire_key, claim] = std::tie(said.key, said.claim);
    if (!wire_key.cluster.empty() || cluster->second.gateways.count(claim.ordinal) == 0 ||
        shares.count(wire_key.share) == 0 || claim.epoch > kMaxEpoch) {
      continue;  // not accepted of that cluster (yet): not confirmed
    }
    const ClaimKey key{from.cluster, wire_key.share};
    auto at = remote_.find(key);
    if (!fresh && at == remote_.end()) continue;
    if (fresh) {
      const bool first = at == remote_.end();
      if (first) at = remote_.emplace(key, Remote{}).first;
      auto& [words, held] = at->second;
      words.say(from.ordinal, claim, now, said.old);
      const auto next = words.held(now);
      if (first || next.ordinal != held.ordinal) {
        changed.insert_or_assign(key, GatewayId{from.cluster, next.ordinal});
      }
      held = next;
    }
    answers.push_back({wire_key, at->second.held, false});
  }
  put_claims(answers, reply);
  return changed;
}

// The node does not reach us: others may have a newer word of it.
bool ClaimTable::is_old(const Share& share, TimePoint now) const {
  const auto name = names_.find(share.owner);
  const auto at = name == names_.end() ? heard_.end() : heard_.find(name->second);
  return at == heard_.end() || now - at->second >= Words::kLife;
}

void ClaimTable::fill(const GatewayId& to, TimePoint now, tunnel::Probe& request) {
  const auto theirs = own_.find(to.cluster);
  if (theirs == own_.end()) return;
  std::vector<ProbeClaim> claims;
  for (const auto& share : relay_.pick(to, theirs->second, kMaxClaims, now)) {
    claims.push_back({{{}, share}, theirs->second.at(share), false, is_old(share, now)});
  }
  put_claims(claims, request);
}

void ClaimTable::hear(const GatewayId& from, TimePoint now, const tunnel::Probe& reply) {
  const auto told = own_.find(from.cluster);
  if (told == own_.end()) return;
  for (const auto& said : claims_of(reply)) {
    const auto& [wire_key, claim] = std::tie(said.key, said.claim);
    const ClaimKey key{from.cluster, wire_key.share};
    const auto mine = told->second.find(key.share);
    if (mine == told->second.end()) continue;
    if (mine->second == claim) {
      relay_.heard(from, key.share, claim);
    } else if (stands_above(claim, mine->second)) {
      // Another gateway of ours has told a higher claim, of before the node's restart or of a
      // moment ago. Only the node changes its word; it hears of this in our next answer.
      auto& higher = contested_[key];
      if (claim.epoch >= higher.epoch) higher = claim;
      relay_.overruled(from, key.share, mine->second);
    } else if (is_old(key.share, now)) {
      relay_.overruled(from, key.share, mine->second);
    }
  }
}

void ClaimTable::forget(const GatewayId& id) { relay_.forget(id); }

ClaimFlow::Claimed ClaimTable::remote() const {
  ClaimFlow::Claimed claimed;
  for (const auto& [key, remote] : remote_) {
    claimed.emplace_hint(claimed.end(), key, GatewayId{key.cluster, remote.held.ordinal});
  }
  return claimed;
}

ClaimTable::Nodes ClaimTable::carried_by(std::uint32_t ordinal) const {
  Nodes nodes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [share, claim] : claims) {
      const auto* higher = above({cluster, share}, claim);
      if ((higher == nullptr ? claim : *higher).ordinal != ordinal) continue;
      nodes.emplace(names_.at(share.owner), share.family);
    }
  }
  return nodes;
}

ClaimTable::Nodes ClaimTable::claimed() const {
  Nodes nodes;
  for (const auto& [cluster, claims] : own_) {
    for (const auto& [share, claim] : claims) {
      nodes.emplace(names_.at(share.owner), share.family);
    }
  }
  return nodes;
}

}  // namespace cw::homing
