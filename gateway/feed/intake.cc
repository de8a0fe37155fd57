#include "gateway/feed/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "gateway/feed/imports.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/namespace_shares.h"

namespace cw::gateway {
namespace {

constexpr std::size_t kMaxRefusals = 100;  // kept of one cluster's exports

struct Remote {
  std::shared_ptr<const api::ClusterPeer> peer;
  std::optional<Announcement> said;  // by the feed, since we started
  std::map<api::ObjectKey, Intake::Export> exports;
  std::map<api::ObjectKey, Refusal> refused_exports;
  std::optional<Refusal> unreadable;    // the last message that was dropped
  NamespaceShares shares;               // of exports, in wire form
  bool heard_all = false;               // a whole snapshot came
  std::set<api::ObjectKey> over_local;  // of exports: those that are kept out
  std::set<api::ObjectKey> not_listed;  // not among exports: no rule names them
  PrefixSet cidrs;                      // accepted
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

}  // namespace

struct Intake::State {
  std::map<std::string, Remote> remotes;
  std::map<std::string, AcceptedCluster> clusters;
  std::vector<Prefix> local;
  std::vector<OwnPrefixes> networks;  // of this cluster, besides `local`
  std::set<api::ObjectKey> exported;  // our own ServiceExports
  bool exported_known = false;
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

  void refuse(Remote& remote, const api::ObjectKey& key, Refusal refusal) {
    if (remote.refused_exports.size() >= kMaxRefusals) return;
    remote.refused_exports.insert_or_assign(key, std::move(refusal));
    refusals_changed = true;
  }

  [[nodiscard]] api::ImportVerdict verdict_of(const Remote& remote,
                                              const api::ObjectKey& key) const {
    return api::import_verdict(remote.peer->spec, key, exported.count(key) != 0);
  }

  void note_kept_out(Remote& remote, const api::ObjectKey& key, bool is) {
    auto& names = remote.over_local;
    if (is ? names.insert(key).second : names.erase(key) != 0) refusals_changed = true;
  }

  void note_not_listed(Remote& remote, const api::ObjectKey& key, bool is) {
    auto& names = remote.not_listed;
    if (is && names.size() >= kMaxExports) return;
    if (is ? names.insert(key).second : names.erase(key) != 0) refusals_changed = true;
  }

  // One export as said -> its fingerprint as accepted, and what was refused of it.
  void accept(Remote& remote, const api::ObjectKey& key, Export& said) {
    forgive(remote, key);
    const auto& cluster = remote.peer->spec.cluster_id;
    said.kept_out = verdict_of(remote, key) == api::ImportVerdict::kOverLocal;
    note_kept_out(remote, key, said.kept_out);
    if (said.kept_out) {
      said.fingerprint = fingerprint_of(kept_out_record(cluster, key), true);
      return;
    }
    auto record = parse_record(said.wire, cluster);
    CW_CHECK(record.has_value());  // we encoded it
    auto accepted = accepted_export(std::move(*record), remote.cidrs);
    said.fingerprint = fingerprint_of(accepted.record, false);
    if (accepted.refusal) refuse(remote, key, std::move(*accepted.refusal));
  }

  // Whether there is room for `key`, which grows by `bytes`. What gives way for it is told.
  bool make_room(Remote& remote, const api::ObjectKey& key, bool fresh, std::size_t bytes) {
    const std::size_t more = fresh ? 1 : 0;
    while (!remote.shares.fits(more, bytes)) {
      const auto ns = remote.shares.gives_way_to(key.ns, more, bytes);
      const auto over = [](const api::ObjectKey& export_key) {
        return Refusal{RefusalReason::kTooLarge,
                       fmt::format("export {} is not taken: its namespace is over its share of {} "
                                   "exports or {} MiB",
                                   export_key.to_string(), kMaxExports, kMaxExportBytes >> 20U)};
      };
      if (!ns) {
        refuse(remote, key, over(key));
        return false;
      }
      const auto last = std::prev(remote.exports.lower_bound({*ns + '\0', ""}));
      const auto gone = last->first;
      (void)drop(remote, gone);  // it is there
      refuse(remote, gone, over(gone));
      tell_export(remote.peer->spec.cluster_id, &gone);
    }
    return true;
  }

  // Whether anything is to be stored, or no longer.
  bool put(Remote& remote, const api::ObjectKey& key, std::string wire) {
    const bool not_listed = verdict_of(remote, key) == api::ImportVerdict::kNotListed;
    note_not_listed(remote, key, not_listed);
    if (not_listed) return drop(remote, key);
    const auto known = remote.exports.find(key);
    const bool fresh = known == remote.exports.end();
    if (!fresh && known->second.wire == wire) return false;
    const auto before = fresh ? 0 : known->second.wire.size();
    const auto grows = wire.size() > before ? wire.size() - before : 0;
    if (!make_room(remote, key, fresh, grows)) return false;
    if (!fresh) remote.shares.remove(key.ns, before);
    remote.shares.add(key.ns, wire.size());
    auto& said = remote.exports[key];
    said.wire = std::move(wire);
    accept(remote, key, said);
    return true;
  }

  bool drop(Remote& remote, const api::ObjectKey& key) {
    forgive(remote, key);
    const auto known = remote.exports.find(key);
    if (known == remote.exports.end()) return false;
    remote.shares.remove(key.ns, known->second.wire.size());
    remote.exports.erase(known);
    note_kept_out(remote, key, false);
    return true;
  }

  // After a change of its ClusterPeer's imports. What no rule named is not here; who follows the
  // feed asks for it again.
  void import_again(Remote& remote) {
    if (!remote.not_listed.empty()) refusals_changed = true;
    remote.not_listed.clear();
    std::vector<api::ObjectKey> gone;
    for (auto& [key, said] : remote.exports) {
      if (verdict_of(remote, key) == api::ImportVerdict::kNotListed) {
        gone.push_back(key);
      } else {
        accept(remote, key, said);
      }
    }
    for (const auto& key : gone) {
      (void)drop(remote, key);  // it is there
      note_not_listed(remote, key, true);
    }
    tell_export(remote.peer->spec.cluster_id, nullptr);
  }

  // One of our own ServiceExports came or went.
  void export_changed(const api::ObjectKey& key) {
    for (auto& [cluster, remote] : remotes) {
      const auto known = remote.exports.find(key);
      if (known == remote.exports.end()) continue;
      accept(remote, key, known->second);
      tell_export(cluster, &key);
    }
  }

  void set_exported(const OwnExports& now) {
    std::vector<api::ObjectKey> changed;
    auto old = exported.begin();
    for (const auto& [key, object] : now) {
      while (old != exported.end() && *old < key) changed.push_back(*old++);
      if (old != exported.end() && *old == key) {
        ++old;
      } else {
        changed.push_back(key);
      }
    }
    changed.insert(changed.end(), old, exported.end());
    for (const auto& key : changed) {
      if (now.count(key) != 0) {
        exported.insert(key);
      } else {
        exported.erase(key);
      }
    }
    for (const auto& key : changed) export_changed(key);
    if (!exported_known) {
      exported_known = true;
      for (const auto& [cluster, remote] : remotes) tell_export(cluster, nullptr);
      return publish();
    }
    if (refusals_changed) publish();
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
    auto judged = accepted_claims(claims, local, networks);
    for (auto& [cluster, remote] : remotes) {
      remote.claim = std::move(judged[cluster]);
      const bool moved = remote.claim.cidrs != remote.accepted.cidrs;
      if (moved) {
        remote.cidrs = PrefixSet(remote.claim.cidrs);
        for (auto& [key, said] : remote.exports) accept(remote, key, said);
      }
      auto gateways = accepted_gateways(words[cluster], remote.peer->spec, remote.cidrs, networks);
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
      accepted.complete = remote.heard_all && exported_known;
      accepted.left_out = {export_names(remote.over_local), export_names(remote.not_listed)};
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
    auto wanted = api::peers_by_cluster(peers);
    std::vector<std::string> gone;
    for (const auto& [cluster, remote] : remotes) {
      if (wanted.count(cluster) == 0) gone.push_back(cluster);
    }
    for (const auto& cluster : gone) {
      remotes.erase(cluster);
      tell_export(cluster, nullptr);
    }
    for (auto& [cluster, peer] : wanted) {
      auto& remote = remotes[cluster];
      const bool other = remote.peer != nullptr && remote.peer->spec.imports != peer->spec.imports;
      remote.peer = std::move(peer);
      if (other) import_again(remote);
    }
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
    for (const auto& key : gone) (void)drop(*remote, key);  // it was there
    std::erase_if(remote->refused_exports,
                  [&](const auto& refused) { return all.count(refused.first) == 0; });
    remote->not_listed.clear();
    for (auto& [key, wire] : all) (void)put(*remote, key, std::move(wire));  // told below, as one
    remote->heard_all = true;
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
    if (remote == nullptr) return;
    s->note_not_listed(*remote, service, false);
    if (s->drop(*remote, service)) s->tell_export(cluster, &service);
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

void Intake::set_local(std::vector<Prefix> local_cidrs, std::vector<OwnPrefixes> own) {
  if (state_->local == local_cidrs && state_->networks == own) return;
  state_->local = std::move(local_cidrs);
  state_->networks = std::move(own);
  state_->judge();
}

void Intake::set_exported(const OwnExports& exports) { state_->set_exported(exports); }

const std::map<std::string, AcceptedCluster>& Intake::clusters() const { return state_->clusters; }

const std::map<api::ObjectKey, Intake::Export>& Intake::exports(const std::string& cluster) const {
  static const std::map<api::ObjectKey, Export> kNone;
  const auto* remote = state_->find(cluster);
  return remote == nullptr ? kNone : remote->exports;
}

std::optional<Intake::Record> Intake::record(const std::string& cluster,
                                             const api::ObjectKey& service) const {
  const auto* remote = state_->find(cluster);
  if (remote == nullptr) return std::nullopt;
  const auto said = remote->exports.find(service);
  if (said == remote->exports.end()) return std::nullopt;
  if (said->second.kept_out) return Record{kept_out_record(cluster, service), true};
  auto record = parse_record(said->second.wire, cluster);
  CW_CHECK(record.has_value());  // we encoded it
  return Record{accepted_export(std::move(*record), remote->cidrs).record, false};
}

}  // namespace cw::gateway
