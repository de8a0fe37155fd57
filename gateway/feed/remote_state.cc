#include "gateway/feed/remote_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "gateway/feed/imports.h"
#include "gateway/feed/messages.h"
#include "gateway/feed/namespace_shares.h"

namespace cw::gateway {
namespace {

// The limit of one cluster for each of: refusals of its announcement, of its exports, and dropped
// messages.
constexpr std::size_t kMaxRefusals = 100;

struct Remote {
  std::shared_ptr<const api::ClusterPeer> peer;
  std::optional<Announcement> said;  // from the feed, since the start
  std::map<api::ObjectKey, RemoteState::Export> exports;
  std::map<api::ObjectKey, Refusal> refused_exports;
  std::map<std::string, Refusal> faults;    // dropped messages, by subject
  std::optional<api::ObjectKey> recheck{};  // exports from here on must be judged again
  NamespaceShares shares;                   // of `exports`, in wire form
  bool heard_all = false;                   // a whole snapshot has come
  bool refusals_changed = false;            // since the last renew()
  std::set<api::ObjectKey> over_local;      // of `exports`: those that are kept out
  std::set<api::ObjectKey> not_listed;      // not in `exports`: no rule names them
  PrefixSet cidrs;                          // accepted
  AcceptedRequest claim;
  AcceptedCluster accepted;
};

Refusal refusal_of(const FeedFault& fault) {
  auto reason = RefusalReason::kInvalid;
  if (fault.error.code == Errc::kTooLarge) reason = RefusalReason::kTooLarge;
  if (fault.subject == kSnapshotsSubject) reason = RefusalReason::kTooOften;
  return {reason, fmt::format("{}: {}", fault.subject, fault.error.text)};
}

void shorten(std::vector<Refusal>& refusals) {
  if (refusals.size() <= kMaxRefusals) return;
  const auto left_out = refusals.size() - kMaxRefusals;
  const auto reason = refusals[kMaxRefusals].reason;
  refusals.resize(kMaxRefusals);
  refusals.push_back({reason, fmt::format("{} more are refused", left_out)});
}

template <typename Gateways>
std::vector<IpAddress> endpoints_of(const Gateways& gateways) {
  std::vector<IpAddress> all;
  for (const auto& gateway : gateways) {
    for (const auto& endpoint : gateway.endpoints) all.push_back(endpoint.address);
  }
  return all;
}

// What the cluster said. Before its first announcement: what was accepted of it earlier.
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

struct RemoteState::State {
  std::map<std::string, Remote> remotes;
  std::map<std::string, AcceptedCluster> clusters;
  std::vector<Prefix> local;
  std::vector<OwnPrefixes> networks;  // of this cluster, besides `local`
  std::set<api::ObjectKey> exported;  // our own ServiceExports
  bool exported_known = false;
  Listener listener;

  Remote* find(const std::string& cluster) {
    const auto found = remotes.find(cluster);
    return found == remotes.end() ? nullptr : &found->second;
  }

  void tell_export(const std::string& cluster, const api::ObjectKey* service) const {
    if (listener.on_export) listener.on_export(cluster, service);
  }

  void forgive(Remote& remote, const api::ObjectKey& key) {
    if (remote.refused_exports.erase(key) != 0) remote.refusals_changed = true;
  }

  void refuse(Remote& remote, const api::ObjectKey& key, Refusal refusal) {
    if (remote.refused_exports.size() >= kMaxRefusals) return;
    remote.refused_exports.insert_or_assign(key, std::move(refusal));
    remote.refusals_changed = true;
  }

  [[nodiscard]] api::ImportVerdict verdict_of(const Remote& remote,
                                              const api::ObjectKey& key) const {
    return api::import_verdict(remote.peer->spec, key, exported.count(key) != 0);
  }

  void note_kept_out(Remote& remote, const api::ObjectKey& key, bool is) {
    auto& names = remote.over_local;
    if (is ? names.insert(key).second : names.erase(key) != 0) remote.refusals_changed = true;
  }

  void note_not_listed(Remote& remote, const api::ObjectKey& key, bool is) {
    auto& names = remote.not_listed;
    if (is && names.size() >= kMaxExports) return;
    if (is ? names.insert(key).second : names.erase(key) != 0) remote.refusals_changed = true;
  }

  // Judges an export: sets its fingerprint as accepted, and records what was refused.
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

  // True if there is room for `key`, which grows by `bytes`. Exports that give way are refused and
  // reported.
  bool make_room(Remote& remote, const api::ObjectKey& key, bool fresh, std::size_t bytes) {
    const std::size_t more = fresh ? 1 : 0;
    while (!remote.shares.fits(more, bytes)) {
      const auto ns = remote.shares.gives_way_to(key.ns, more, bytes);
      const auto over = [](const api::ObjectKey& export_key) {
        return Refusal{RefusalReason::kTooLarge,
                       fmt::format("export {} is refused: its namespace is over its share of the "
                                   "cluster's {} exports or {} MiB",
                                   export_key.to_string(), kMaxExports, kMaxExportBytes >> 20U)};
      };
      if (!ns) {
        refuse(remote, key, over(key));
        return false;
      }
      const auto last = std::prev(remote.exports.lower_bound({*ns + '\0', ""}));
      const auto gone = last->first;
      (void)forget(remote, gone);  // known to be there
      refuse(remote, gone, over(gone));
      tell_export(remote.peer->spec.cluster_id, &gone);
    }
    return true;
  }

  bool add_fault(Remote& remote, const std::string& subject, Refusal refusal) {
    auto& faults = remote.faults;
    if (faults.size() >= kMaxRefusals && faults.count(subject) == 0) return false;
    return std::exchange(faults[subject], refusal) != refusal;
  }

  // True: what is to be stored changed.
  bool keep(Remote& remote, const api::ObjectKey& key, std::string wire) {
    const bool not_listed = verdict_of(remote, key) == api::ImportVerdict::kNotListed;
    note_not_listed(remote, key, not_listed);
    if (not_listed) return forget(remote, key);
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

  // True: the export was there.
  bool forget(Remote& remote, const api::ObjectKey& key) {
    forgive(remote, key);
    const auto known = remote.exports.find(key);
    if (known == remote.exports.end()) return false;
    remote.shares.remove(key.ns, known->second.wire.size());
    remote.exports.erase(known);
    note_kept_out(remote, key, false);
    return true;
  }

  bool put(const std::string& cluster, Remote& remote, const api::ObjectKey& key,
           std::string wire) {
    if (remote.faults.erase(export_subject(key)) != 0) remote.refusals_changed = true;
    const bool kept = keep(remote, key, std::move(wire));
    if (kept) tell_export(cluster, &key);
    return kept;
  }

  void drop(const std::string& cluster, Remote& remote, const api::ObjectKey& key) {
    if (remote.faults.erase(export_subject(key)) != 0) remote.refusals_changed = true;
    note_not_listed(remote, key, false);
    if (forget(remote, key)) tell_export(cluster, &key);
  }

  // After a change of the ClusterPeer's imports recheck() judges the exports again. Exports that no
  // rule named are not here: FeedSide asks for them again.
  static void import_again(Remote& remote) {
    if (!remote.not_listed.empty()) remote.refusals_changed = true;
    remote.not_listed.clear();
    remote.recheck = api::ObjectKey{};
  }

  // One of our own ServiceExports was added or removed.
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
    tell_refusals();
    if (std::exchange(exported_known, true)) return;
    for (auto& [cluster, remote] : remotes) {
      tell_export(cluster, nullptr);
      publish(cluster, remote);
    }
  }

  // Judges all claims again. Exports are judged later, and only if their cluster's prefixes
  // changed.
  void judge() {
    std::vector<PrefixRequest> claims;
    std::map<std::string, Announcement> words;
    for (const auto& [cluster, remote] : remotes) {
      auto& said = words[cluster] = words_of(remote);
      const bool own = said.cluster == cluster;
      claims.push_back({cluster, remote.peer->meta.created, remote.peer->spec.allowed_cidrs,
                        own ? said.cidrs : std::vector<Prefix>{}, remote.peer->status.cidrs,
                        endpoints_of(remote.peer->spec.gateways),
                        own ? endpoints_of(said.gateways) : std::vector<IpAddress>{}});
    }
    auto judged = accepted_requests(claims, local, networks);
    bool changed = false;
    for (auto& [cluster, remote] : remotes) {
      remote.claim = std::move(judged[cluster]);
      if (remote.claim.cidrs != remote.accepted.cidrs) {
        remote.cidrs = PrefixSet(remote.claim.cidrs);
        remote.recheck = api::ObjectKey{};
      }
      auto gateways = accepted_gateways(words[cluster], remote.peer->spec, remote.cidrs, networks);
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

  // Updates clusters() for one cluster.
  Renewed renew(const std::string& cluster, Remote& remote) {
    auto& accepted = remote.accepted;
    accepted.refusals = remote.claim.refusals;
    for (const auto& [subject, refusal] : remote.faults) accepted.refusals.push_back(refusal);
    for (const auto& [key, refusal] : remote.refused_exports) {
      accepted.refusals.push_back(refusal);
    }
    accepted.announced = remote.said.has_value();
    accepted.complete = remote.heard_all && exported_known;
    accepted.left_out = {export_names(remote.over_local), export_names(remote.not_listed)};
    remote.refusals_changed = false;
    const auto [shown, fresh] = clusters.try_emplace(cluster);
    if (!fresh && shown->second == accepted) return Renewed::kNothing;
    auto& before = shown->second;
    before.refusals = accepted.refusals;
    before.left_out = accepted.left_out;
    const bool words_only = !fresh && before == accepted;
    before = accepted;
    if (words_only && listener.on_refusals) listener.on_refusals();
    return words_only ? Renewed::kWords : Renewed::kAll;
  }

  void publish(const std::string& cluster, Remote& remote) {
    if (renew(cluster, remote) == Renewed::kAll && listener.on_clusters) listener.on_clusters();
  }

  void tell_refusals() {
    for (auto& [cluster, remote] : remotes) {
      if (remote.refusals_changed) publish(cluster, remote);
    }
  }

  void set_peers(const Peers& peers) {
    auto wanted = api::peers_by_cluster(peers);
    std::vector<std::string> gone;
    for (const auto& [cluster, remote] : remotes) {
      if (wanted.count(cluster) == 0) gone.push_back(cluster);
    }
    for (const auto& cluster : gone) {
      remotes.erase(cluster);
      clusters.erase(cluster);
      tell_export(cluster, nullptr);
    }
    for (auto& [cluster, peer] : wanted) {
      auto& remote = remotes[cluster];
      const bool other = remote.peer != nullptr && remote.peer->spec.imports != peer->spec.imports;
      remote.peer = std::move(peer);
      if (other) import_again(remote);
    }
    judge();
    if (!gone.empty() && listener.on_clusters) listener.on_clusters();
  }

  // True: more exports of this cluster are left.
  bool recheck(const std::string& cluster, Remote& remote, std::size_t& most) {
    auto at = remote.exports.lower_bound(*remote.recheck);
    for (; at != remote.exports.end() && most > 0; --most) {
      auto& [key, said] = *at++;
      if (verdict_of(remote, key) == api::ImportVerdict::kNotListed) {
        const auto gone = key;
        (void)forget(remote, gone);  // known to be there
        note_not_listed(remote, gone, true);
        tell_export(cluster, &gone);
        continue;
      }
      const auto before = said.fingerprint;
      accept(remote, key, said);
      if (said.fingerprint != before) tell_export(cluster, &key);
    }
    remote.recheck = at == remote.exports.end() ? std::nullopt : std::optional(at->first);
    return remote.recheck.has_value();
  }
};

RemoteState::RemoteState() : state_(std::make_unique<State>()) {}
RemoteState::~RemoteState() = default;

void RemoteState::set_listener(Listener listener) { state_->listener = std::move(listener); }

void RemoteState::set_connected(const std::string& cluster, bool connected) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  remote->accepted.feed_connected = connected;
  if (connected) remote->faults.erase(std::string(kVersionSubject));
  state_->publish(cluster, *remote);
}

void RemoteState::announce(const std::string& cluster, Announcement announcement) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  const bool fault = remote->faults.erase(std::string(kAnnouncementSubject)) != 0;
  if (remote->said != announcement) {
    remote->said = std::move(announcement);
    return state_->judge();
  }
  if (fault) state_->publish(cluster, *remote);
}

bool RemoteState::put(const std::string& cluster, const api::ObjectKey& service, std::string wire) {
  auto* remote = state_->find(cluster);
  return remote != nullptr && state_->put(cluster, *remote, service, std::move(wire));
}

void RemoteState::drop(const std::string& cluster, const api::ObjectKey& service) {
  if (auto* remote = state_->find(cluster)) state_->drop(cluster, *remote, service);
}

void RemoteState::complete(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr || std::exchange(remote->heard_all, true)) return;
  state_->publish(cluster, *remote);
  state_->tell_export(cluster, nullptr);
}

void RemoteState::refuse(const std::string& cluster, const FeedFault& fault) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  if (state_->add_fault(*remote, fault.subject, refusal_of(fault))) {
    remote->refusals_changed = true;
  }
}

void RemoteState::tell_refusals() { state_->tell_refusals(); }

void RemoteState::begin_snapshot(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  // The snapshot repeats what was refused or left out, or it is gone.
  auto gone = std::erase_if(remote->faults, [](const auto& fault) {
    return fault.first != kAnnouncementSubject && fault.first != kVersionSubject;
  });
  gone += std::erase_if(remote->refused_exports, [&](const auto& refused) {
    return remote->exports.count(refused.first) == 0;
  });
  gone += remote->not_listed.size();
  remote->not_listed.clear();
  if (gone != 0) remote->refusals_changed = true;
}

bool RemoteState::recheck(std::size_t most) {
  for (auto& [cluster, remote] : state_->remotes) {
    if (remote.recheck && state_->recheck(cluster, remote, most)) return true;
  }
  return false;
}

void RemoteState::set_peers(const Peers& peers) { state_->set_peers(peers); }

void RemoteState::set_local(std::vector<Prefix> local_cidrs, std::vector<OwnPrefixes> own) {
  if (state_->local == local_cidrs && state_->networks == own) return;
  state_->local = std::move(local_cidrs);
  state_->networks = std::move(own);
  state_->judge();
}

void RemoteState::set_exported(const OwnExports& exports) { state_->set_exported(exports); }

const std::map<std::string, AcceptedCluster>& RemoteState::clusters() const {
  return state_->clusters;
}

const std::map<api::ObjectKey, RemoteState::Export>& RemoteState::exports(
    const std::string& cluster) const {
  static const std::map<api::ObjectKey, Export> kNone;
  const auto* remote = state_->find(cluster);
  return remote == nullptr ? kNone : remote->exports;
}

std::optional<RemoteState::Record> RemoteState::record(const std::string& cluster,
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
