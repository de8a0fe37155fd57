#include "gateway/feed/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/feed/messages.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxRefusals = 100;  // kept of one cluster's exports

struct Remote {
  std::shared_ptr<const api::ClusterPeer> peer;
  std::optional<Announcement> said;  // by the feed, since we started
  std::map<api::ObjectKey, Intake::Export> exports;
  std::map<api::ObjectKey, Refusal> refused_exports;
  std::optional<Refusal> unreadable;  // the last message that was dropped
  std::size_t bytes = 0;              // of exports
  PrefixSet cidrs;                    // accepted
  AcceptedClaim claim;
  AcceptedCluster accepted;
};

Refusal refusal_of(const Error& error) {
  return {error.code == Errc::kTooLarge ? RefusalReason::kTooLarge : RefusalReason::kInvalid,
          error.text};
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
  bool refusals_changed = false;  // since the last publish()

  Remote* find(const std::string& cluster) {
    const auto found = remotes.find(cluster);
    return found == remotes.end() ? nullptr : &found->second;
  }

  void tell_export(const std::string& cluster, const api::ObjectKey* service) const {
    if (listener.on_export) listener.on_export(cluster, service);
  }

  void forgive(Remote& remote, const api::ObjectKey& key) {
    if (remote.refused_exports.erase(key) != 0) refusals_changed = true;
  }

  // One export as said -> its fingerprint as accepted, and what was refused of it.
  void accept(Remote& remote, const api::ObjectKey& key, Export& said) {
    forgive(remote, key);
    auto record = parse_record(said.wire, remote.peer->spec.cluster_id);
    CW_CHECK(record.has_value());  // we encoded it
    auto accepted = accepted_export(std::move(*record), remote.cidrs);
    said.fingerprint = std::hash<std::string>{}(encode_record(accepted.record));
    if (accepted.refusal && remote.refused_exports.size() < kMaxRefusals) {
      remote.refused_exports.emplace(key, std::move(*accepted.refusal));
      refusals_changed = true;
    }
  }

  bool put(Remote& remote, const api::ObjectKey& key, std::string wire) {
    const auto known = remote.exports.find(key);
    const bool fresh = known == remote.exports.end();
    const auto bytes = remote.bytes + wire.size() - (fresh ? 0 : known->second.wire.size());
    if ((fresh && remote.exports.size() >= kMaxExports) || bytes > kMaxExportBytes) {
      remote.unreadable = {RefusalReason::kTooLarge,
                           fmt::format("export {} is over {} exports or {} MiB of them",
                                       key.to_string(), kMaxExports, kMaxExportBytes >> 20U)};
      refusals_changed = true;
      return false;
    }
    if (!fresh && known->second.wire == wire) return false;
    remote.bytes = bytes;
    auto& said = fresh ? remote.exports[key] : known->second;
    said.wire = std::move(wire);
    accept(remote, key, said);
    return true;
  }

  bool drop(Remote& remote, const api::ObjectKey& key) {
    const auto known = remote.exports.find(key);
    if (known == remote.exports.end()) return false;
    remote.bytes -= known->second.wire.size();
    remote.exports.erase(known);
    forgive(remote, key);
    return true;
  }

  // All claims anew; exports only of clusters whose accepted prefixes changed.
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
    for (auto& [cluster, remote] : remotes) {
      remote.claim = std::move(judged[cluster]);
      const bool moved = remote.claim.cidrs != remote.accepted.cidrs;
      if (moved) {
        remote.cidrs = PrefixSet(remote.claim.cidrs);
        for (auto& [key, said] : remote.exports) accept(remote, key, said);
      }
      auto gateways = accepted_gateways(words[cluster], remote.peer->spec, remote.cidrs);
      auto& refusals = remote.claim.refusals;
      refusals.insert(refusals.end(), gateways.refusals.begin(), gateways.refusals.end());
      remote.accepted.cidrs = remote.claim.cidrs;
      remote.accepted.gateways = std::move(gateways.gateways);
      if (moved) tell_export(cluster, nullptr);
    }
    publish();
  }

  // clusters, and whether anybody has to hear of it.
  void publish() {
    refusals_changed = false;
    std::map<std::string, AcceptedCluster> next;
    for (auto& [cluster, remote] : remotes) {
      auto& accepted = remote.accepted;
      accepted.refusals = remote.claim.refusals;
      if (remote.unreadable) accepted.refusals.push_back(*remote.unreadable);
      for (const auto& [key, refusal] : remote.refused_exports) {
        accepted.refusals.push_back(refusal);
      }
      accepted.announced = remote.said.has_value();
      next.emplace(cluster, accepted);
    }
    if (next == clusters) return;
    for (const auto& [cluster, accepted] : next) {
      const auto before = clusters.find(cluster);
      if (before != clusters.end() && before->second.refusals == accepted.refusals) continue;
      for (const auto& refusal : accepted.refusals) {
        log_warn("claim refused", {{"cluster", cluster},
                                   {"reason", reason_name(refusal.reason)},
                                   {"what", refusal.message}});
      }
    }
    clusters = std::move(next);
    if (listener.on_clusters) listener.on_clusters();
  }

  void set_peers(const Peers& peers) {
    auto wanted = by_cluster(peers);
    std::vector<std::string> gone;
    for (const auto& [cluster, remote] : remotes) {
      if (wanted.count(cluster) == 0) gone.push_back(cluster);
    }
    for (const auto& cluster : gone) {
      remotes.erase(cluster);
      tell_export(cluster, nullptr);
    }
    for (auto& [cluster, peer] : wanted) remotes[cluster].peer = std::move(peer);
    judge();
  }

  void take_snapshot(const std::string& cluster, ExportMap&& all) {
    auto* remote = find(cluster);
    if (remote == nullptr) return;
    remote->unreadable.reset();
    std::vector<api::ObjectKey> gone;
    for (const auto& [key, said] : remote->exports) {
      if (all.count(key) == 0) gone.push_back(key);
    }
    for (const auto& key : gone) (void)drop(*remote, key);                   // it was there
    for (auto& [key, wire] : all) (void)put(*remote, key, std::move(wire));  // told below, as one
    remote->accepted.complete = true;
    tell_export(cluster, nullptr);
    publish();
  }
};

Intake::Intake() : state_(std::make_unique<State>()) {}
Intake::~Intake() = default;

void Intake::set_listener(Listener listener) { state_->listener = std::move(listener); }

FeedCallbacks Intake::callbacks() {
  FeedCallbacks on;
  auto* s = state_.get();
  on.on_state = [s](const std::string& cluster, bool connected) {
    auto* remote = s->find(cluster);
    if (remote == nullptr) return;
    remote->accepted.feed_connected = connected;
    s->publish();
  };
  on.on_announcement = [s](const std::string& cluster, Announcement announcement) {
    auto* remote = s->find(cluster);
    if (remote == nullptr || remote->said == announcement) return;
    remote->said = std::move(announcement);
    s->judge();
  };
  on.on_snapshot = [s](const std::string& cluster, ExportMap all) {
    s->take_snapshot(cluster, std::move(all));
  };
  on.on_export = [s](const std::string& cluster, const api::ExportRecord& record) {
    auto* remote = s->find(cluster);
    if (remote == nullptr) return;
    if (s->put(*remote, record.service, encode_record(record)))
      s->tell_export(cluster, &record.service);
    if (s->refusals_changed) s->publish();
  };
  on.on_withdrawn = [s](const std::string& cluster, const api::ObjectKey& service) {
    auto* remote = s->find(cluster);
    if (remote == nullptr || !s->drop(*remote, service)) return;
    s->tell_export(cluster, &service);
    if (s->refusals_changed) s->publish();
  };
  on.on_refused = [s](const std::string& cluster, const Error& why) {
    auto* remote = s->find(cluster);
    if (remote == nullptr) return;
    remote->unreadable = refusal_of(why);
    s->publish();
  };
  return on;
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
