#include "gateway/feed/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

// Kept of one cluster: of its announcement, of its exports, and of messages that were dropped.
constexpr std::size_t kMaxRefusals = 100;

struct Remote {
  std::shared_ptr<const api::ClusterPeer> peer;
  std::optional<Announcement> said;  // by the feed, since we started
  std::map<api::ObjectKey, Intake::Export> exports;
  std::map<api::ObjectKey, Refusal> refused_exports;
  std::map<std::string, Refusal> faults;    // dropped messages, by subject
  std::optional<api::ObjectKey> recheck{};  // exports from here on are to be judged again
  std::size_t bytes = 0;                    // of exports
  PrefixSet cidrs;                          // accepted
  AcceptedClaim claim;
  AcceptedCluster accepted;
};

Refusal refusal_of(const FeedFault& fault) {
  return {fault.error.code == Errc::kTooLarge ? RefusalReason::kTooLarge : RefusalReason::kInvalid,
          fmt::format("{}: {}", fault.subject, fault.error.text)};
}

void shorten(std::vector<Refusal>& refusals) {
  if (refusals.size() <= kMaxRefusals) return;
  const auto left_out = refusals.size() - kMaxRefusals;
  const auto reason = refusals[kMaxRefusals].reason;
  refusals.resize(kMaxRefusals);
  refusals.push_back({reason, fmt::format("{} more are refused", left_out)});
}

// What the cluster said, or as long as it said nothing, what was accepted of it before.
Announcement words_of(const Remote& remote) {
  if (remote.said) return *remote.said;
  const auto& status = remote.peer->status;
  Announcement last{remote.peer->spec.cluster_id, status.cidrs, {}};
  for (const auto& known : status.gateways) {
    last.gateways.push_back({known.gateway.ordinal, known.gateway.public_key,
                             known.gateway.endpoints, known.draining, known.own, known.homed});
  }
  return last;
}

// The peers by cluster id; of two with the same id the older one.
std::map<std::string, std::shared_ptr<const api::ClusterPeer>> by_cluster(
    const Intake::Peers& peers) {
  std::map<std::string, std::shared_ptr<const api::ClusterPeer>> clusters;
  for (const auto& [key, peer] : peers) {
    auto& slot = clusters[peer->spec.cluster_id];
    if (slot == nullptr || peer->meta.created < slot->meta.created) slot = peer;
  }
  return clusters;
}

}  // namespace

struct Intake::State {
  std::map<std::string, Remote> remotes;
  std::map<std::string, AcceptedCluster> clusters;
  std::vector<Prefix> local;
  Listener listener;

  Remote* find(const std::string& cluster) {
    const auto found = remotes.find(cluster);
    return found == remotes.end() ? nullptr : &found->second;
  }

  void tell_export(const std::string& cluster, const api::ObjectKey* service) const {
    if (listener.on_export) listener.on_export(cluster, service);
  }

  // One export as said -> its fingerprint as accepted, and what was refused of it. True: what is
  // refused changed.
  static bool accept(Remote& remote, const api::ObjectKey& key, Export& said) {
    auto record = parse_record(said.wire, remote.peer->spec.cluster_id);
    CW_CHECK(record.has_value());  // we encoded it
    auto accepted = accepted_export(std::move(*record), remote.cidrs);
    said.fingerprint = std::hash<std::string>{}(encode_record(accepted.record));
    auto& refused = remote.refused_exports;
    if (!accepted.refusal) return refused.erase(key) != 0;
    const auto known = refused.find(key);
    if (known != refused.end()) {
      if (known->second == *accepted.refusal) return false;
      known->second = std::move(*accepted.refusal);
      return true;
    }
    if (refused.size() >= kMaxRefusals) return false;
    refused.emplace(key, std::move(*accepted.refusal));
    return true;
  }

  static bool add_fault(Remote& remote, const std::string& subject, Refusal refusal) {
    auto& faults = remote.faults;
    if (faults.size() >= kMaxRefusals && faults.count(subject) == 0) return false;
    return std::exchange(faults[subject], refusal) != refusal;
  }

  void put(const std::string& cluster, Remote& remote, const api::ObjectKey& key,
           std::string wire) {
    bool words = remote.faults.erase(export_subject(key)) != 0;
    const auto known = remote.exports.find(key);
    const bool fresh = known == remote.exports.end();
    const auto bytes = remote.bytes + wire.size() - (fresh ? 0 : known->second.wire.size());
    if ((fresh && remote.exports.size() >= kMaxExports) || bytes > kMaxExportBytes) {
      (void)add_fault(remote, export_subject(key),
                      {RefusalReason::kTooLarge,
                       fmt::format("export {} is over {} exports or {} MiB of them",
                                   key.to_string(), kMaxExports, kMaxExportBytes >> 20U)});
      return publish(cluster, remote);
    }
    if (fresh || known->second.wire != wire) {
      remote.bytes = bytes;
      auto& said = fresh ? remote.exports[key] : known->second;
      said.wire = std::move(wire);
      words = accept(remote, key, said) || words;
      tell_export(cluster, &key);
    }
    if (words) publish(cluster, remote);
  }

  void drop(const std::string& cluster, Remote& remote, const api::ObjectKey& key) {
    bool words = remote.faults.erase(export_subject(key)) != 0;
    if (const auto known = remote.exports.find(key); known != remote.exports.end()) {
      remote.bytes -= known->second.wire.size();
      remote.exports.erase(known);
      words = remote.refused_exports.erase(key) != 0 || words;
      tell_export(cluster, &key);
    }
    if (words) publish(cluster, remote);
  }

  // All claims anew; exports only of clusters whose accepted prefixes changed, and these later.
  void judge() {
    std::vector<Claim> claims;
    std::map<std::string, Announcement> words;
    for (const auto& [cluster, remote] : remotes) {
      auto& said = words[cluster] = words_of(remote);
      const bool own = said.cluster == cluster;
      claims.push_back({cluster, remote.peer->meta.created, remote.peer->spec.allowed_cidrs,
                        own ? said.cidrs : std::vector<Prefix>{}, remote.peer->status.cidrs});
    }
    auto judged = accepted_claims(claims, local);
    bool changed = false;
    for (auto& [cluster, remote] : remotes) {
      remote.claim = std::move(judged[cluster]);
      if (remote.claim.cidrs != remote.accepted.cidrs) {
        remote.cidrs = PrefixSet(remote.claim.cidrs);
        remote.recheck = api::ObjectKey{};
      }
      auto gateways = accepted_gateways(words[cluster], remote.peer->spec, remote.cidrs);
      auto& refusals = remote.claim.refusals;
      refusals.insert(refusals.end(), gateways.refusals.begin(), gateways.refusals.end());
      shorten(refusals);
      remote.accepted.cidrs = remote.claim.cidrs;
      remote.accepted.gateways = std::move(gateways.gateways);
      changed = renew(cluster, remote) == Renewed::kAll || changed;
    }
    if (changed && listener.on_clusters) listener.on_clusters();
  }

  enum class Renewed { kNothing, kWords, kAll };

  // What clusters() says of one cluster.
  Renewed renew(const std::string& cluster, Remote& remote) {
    auto& accepted = remote.accepted;
    accepted.refusals = remote.claim.refusals;
    for (const auto& [subject, refusal] : remote.faults) accepted.refusals.push_back(refusal);
    for (const auto& [key, refusal] : remote.refused_exports) {
      accepted.refusals.push_back(refusal);
    }
    accepted.announced = remote.said.has_value();
    const auto [shown, fresh] = clusters.try_emplace(cluster);
    if (!fresh && shown->second == accepted) return Renewed::kNothing;
    auto& before = shown->second;
    before.refusals = accepted.refusals;
    const bool words_only = !fresh && before == accepted;
    before = accepted;
    if (words_only && listener.on_refusals) listener.on_refusals();
    return words_only ? Renewed::kWords : Renewed::kAll;
  }

  void publish(const std::string& cluster, Remote& remote) {
    if (renew(cluster, remote) == Renewed::kAll && listener.on_clusters) listener.on_clusters();
  }

  void set_peers(const Peers& peers) {
    auto wanted = by_cluster(peers);
    std::vector<std::string> gone;
    for (const auto& [cluster, remote] : remotes) {
      if (wanted.count(cluster) == 0) gone.push_back(cluster);
    }
    for (const auto& cluster : gone) {
      remotes.erase(cluster);
      clusters.erase(cluster);
      tell_export(cluster, nullptr);
    }
    for (auto& [cluster, peer] : wanted) remotes[cluster].peer = std::move(peer);
    judge();
    if (!gone.empty() && listener.on_clusters) listener.on_clusters();
  }

  // True: more of this cluster is left.
  bool recheck(const std::string& cluster, Remote& remote, std::size_t& most) {
    bool words = false;
    auto at = remote.exports.lower_bound(*remote.recheck);
    for (; at != remote.exports.end() && most > 0; ++at, --most) {
      const auto before = at->second.fingerprint;
      words = accept(remote, at->first, at->second) || words;
      if (at->second.fingerprint != before) tell_export(cluster, &at->first);
    }
    remote.recheck = at == remote.exports.end() ? std::nullopt : std::optional(at->first);
    if (words) publish(cluster, remote);
    return remote.recheck.has_value();
  }
};

Intake::Intake() : state_(std::make_unique<State>()) {}
Intake::~Intake() = default;

void Intake::set_listener(Listener listener) { state_->listener = std::move(listener); }

void Intake::set_connected(const std::string& cluster, bool connected) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  remote->accepted.feed_connected = connected;
  if (connected) remote->faults.erase(std::string(kVersionSubject));
  state_->publish(cluster, *remote);
}

void Intake::announce(const std::string& cluster, Announcement announcement) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  const bool fault = remote->faults.erase(std::string(kAnnouncementSubject)) != 0;
  if (remote->said != announcement) {
    remote->said = std::move(announcement);
    return state_->judge();
  }
  if (fault) state_->publish(cluster, *remote);
}

void Intake::put(const std::string& cluster, const api::ObjectKey& service, std::string wire) {
  if (auto* remote = state_->find(cluster)) state_->put(cluster, *remote, service, std::move(wire));
}

void Intake::drop(const std::string& cluster, const api::ObjectKey& service) {
  if (auto* remote = state_->find(cluster)) state_->drop(cluster, *remote, service);
}

void Intake::complete(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr || std::exchange(remote->accepted.complete, true)) return;
  state_->publish(cluster, *remote);
  state_->tell_export(cluster, nullptr);
}

void Intake::refuse(const std::string& cluster, const FeedFault& fault) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  if (State::add_fault(*remote, fault.subject, refusal_of(fault))) {
    state_->publish(cluster, *remote);
  }
}

void Intake::begin_snapshot(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  const auto gone = std::erase_if(remote->faults, [](const auto& fault) {
    return fault.first != kAnnouncementSubject && fault.first != kVersionSubject;
  });
  if (gone != 0) state_->publish(cluster, *remote);
}

bool Intake::recheck(std::size_t most) {
  for (auto& [cluster, remote] : state_->remotes) {
    if (remote.recheck && state_->recheck(cluster, remote, most)) return true;
  }
  return false;
}

void Intake::set_peers(const Peers& peers) { state_->set_peers(peers); }

void Intake::set_local(std::vector<Prefix> local_cidrs) {
  if (state_->local == local_cidrs) return;
  state_->local = std::move(local_cidrs);
  state_->judge();
}

const std::map<std::string, AcceptedCluster>& Intake::clusters() const { return state_->clusters; }

const std::map<api::ObjectKey, Intake::Export>& Intake::exports(const std::string& cluster) const {
  static const std::map<api::ObjectKey, Export> kNone;
  const auto* remote = state_->find(cluster);
  return remote == nullptr ? kNone : remote->exports;
}

std::optional<api::ExportRecord> Intake::record(const std::string& cluster,
                                                const api::ObjectKey& service) const {
  const auto* remote = state_->find(cluster);
  if (remote == nullptr) return std::nullopt;
  const auto said = remote->exports.find(service);
  if (said == remote->exports.end()) return std::nullopt;
  auto record = parse_record(said->second.wire, cluster);
  CW_CHECK(record.has_value());  // we encoded it
  return accepted_export(std::move(*record), remote->cidrs).record;
}

}  // namespace cw::gateway
