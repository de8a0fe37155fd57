#include "gateway/feed/remote_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "gateway/feed/announced.h"
#include "gateway/feed/import_step.h"
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
  NamespaceShares shares;                   // of `exports`, encoded
  bool heard_all = false;                   // a whole snapshot has come
  bool refusals_changed = false;            // since the last renew()
  std::set<api::ObjectKey> over_local;      // of `exports`: those that are kept out
  std::set<api::ObjectKey> not_listed;      // not in `exports`: no rule names them
  PrefixSet cidrs;                          // accepted
  AcceptedRequest claim;
  NodePrefixes nodes;                         // accepted
  std::vector<api::LearnedGateway> gateways;  // accepted
};

Refusal refusal_of(const FeedFault& fault) {
  auto reason = RefusalReason::kInvalid;
  if (fault.error.code == Errc::kTooLarge) reason = RefusalReason::kTooLarge;
  if (fault.subject == kSnapshotsSubject) reason = RefusalReason::kTooOften;
  Refusal refusal{reason, fmt::format("{}: {}", fault.subject, fault.error.text)};
  if (fault.service) refusal.subject = *fault.service;
  return refusal;
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
    for (const auto& contact : gateway.endpoints) {
      if (const auto* endpoint = contact.endpoint()) all.push_back(endpoint->address);
    }
  }
  return all;
}

// What the cluster said. Before its first announcement: what was accepted of it earlier.
Announcement announcement_of(const Remote& remote) {
  if (remote.said) return *remote.said;
  const auto& status = remote.peer->status;
  Announcement last{remote.peer->spec.cluster_id, {}, {}};
  std::set<Prefix> owned;
  for (const auto& known : status.nodes) {
    last.nodes[known.name] = known.prefixes;
    owned.insert(known.prefixes.begin(), known.prefixes.end());
  }
  // Whoever wrote these did not say who has them.
  for (const auto& prefix : status.cidrs) {
    if (owned.count(prefix) == 0) last.nodes[""].push_back(prefix);
  }
  for (const auto& known : status.gateways) {
    last.gateways.push_back({known.gateway.ordinal, known.gateway.public_key,
                             known.gateway.endpoints, known.draining, known.node});
  }
  return last;
}

std::vector<Prefix> prefixes_of(const NodePrefixes& nodes) {
  std::vector<Prefix> all;
  for (const auto& [name, prefixes] : nodes) {
    all.insert(all.end(), prefixes.begin(), prefixes.end());
  }
  return all;
}

}  // namespace

struct RemoteState::State {
  Peers peers;
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

  void notify(const std::string& cluster, const api::ObjectKey* service) const {
    if (listener.on_export) listener.on_export(cluster, service);
  }

  void clear_refusal(Remote& remote, const api::ObjectKey& key) {
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

  // Adds `key` to over_local or not_listed, or removes it. `names` stays bounded.
  static void mark(Remote& remote, std::set<api::ObjectKey>& names, const api::ObjectKey& key,
                   bool is) {
    if (is && names.size() >= kMaxExports) return;
    if (is ? names.insert(key).second : names.erase(key) != 0) remote.refusals_changed = true;
  }

  // Sets the export's fingerprint as accepted, and records what was refused. An export that is
  // accepted as it was sent needs no record for that.
  void evaluate(Remote& remote, const api::ObjectKey& key, Export& known) {
    clear_refusal(remote, key);
    known.kept_out = verdict_of(remote, key) == api::ImportVerdict::kOverLocal;
    mark(remote, remote.over_local, key, known.kept_out);
    if (known.kept_out) {
      known.fingerprint = kKeptOutFingerprint;
    } else if (known.said.within(remote.cidrs)) {
      known.fingerprint = known.said.fingerprint();
    } else {
      auto accepted =
          accepted_export(known.said.record(remote.peer->spec.cluster_id), remote.cidrs);
      known.fingerprint = EncodedExport(accepted.record).fingerprint();
      if (accepted.refusal) refuse(remote, key, std::move(*accepted.refusal));
    }
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
                                   export_key.to_string(), kMaxExports, kMaxExportBytes >> 20U),
                       export_key};
      };
      if (!ns) {
        refuse(remote, key, over(key));
        return false;
      }
      const auto last = std::prev(remote.exports.lower_bound({*ns + '\0', ""}));
      const auto gone = last->first;
      (void)forget(remote, gone);  // known to be there
      refuse(remote, gone, over(gone));
      notify(remote.peer->spec.cluster_id, &gone);
    }
    return true;
  }

  // True: what is to be stored changed.
  bool store(Remote& remote, const api::ObjectKey& key, EncodedExport said) {
    const bool not_listed = verdict_of(remote, key) == api::ImportVerdict::kNotListed;
    mark(remote, remote.not_listed, key, not_listed);
    if (not_listed) return forget(remote, key);
    const auto known = remote.exports.find(key);
    const bool fresh = known == remote.exports.end();
    if (!fresh && known->second.said == said) return false;
    const auto before = fresh ? 0 : known->second.said.size();
    const auto grows = said.size() > before ? said.size() - before : 0;
    if (!make_room(remote, key, fresh, grows)) return false;
    if (!fresh) remote.shares.remove(key.ns, before);
    remote.shares.add(key.ns, said.size());
    const auto at = remote.exports.insert_or_assign(key, Export{std::move(said)}).first;
    evaluate(remote, key, at->second);
    return true;
  }

  // True: the export was there.
  bool forget(Remote& remote, const api::ObjectKey& key) {
    clear_refusal(remote, key);
    const auto known = remote.exports.find(key);
    if (known == remote.exports.end()) return false;
    remote.shares.remove(key.ns, known->second.said.size());
    remote.exports.erase(known);
    mark(remote, remote.over_local, key, false);
    return true;
  }

  // An export is stored (`said`) or withdrawn. True: what is to be stored changed.
  bool change(const std::string& cluster, const api::ObjectKey& key,
              std::optional<EncodedExport> said) {
    auto* remote = find(cluster);
    if (remote == nullptr) return false;
    if (remote->faults.erase(export_subject(key)) != 0) remote->refusals_changed = true;
    if (!said) mark(*remote, remote->not_listed, key, false);
    const bool changed = said ? store(*remote, key, std::move(*said)) : forget(*remote, key);
    if (changed) notify(cluster, &key);
    return changed;
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
      if (exported.erase(key) == 0) exported.insert(key);
      for (auto& [cluster, remote] : remotes) {
        const auto known = remote.exports.find(key);
        if (known == remote.exports.end()) continue;
        evaluate(remote, key, known->second);
        notify(cluster, &key);
      }
    }
    publish_refusals();
    if (std::exchange(exported_known, true)) return;
    for (auto& [cluster, remote] : remotes) {
      notify(cluster, nullptr);
      publish(cluster, remote);
    }
  }

  // Judges all claims again. Exports are judged later, and only if their cluster's prefixes
  // changed.
  void evaluate_claims() {
    std::vector<PrefixRequest> claims;
    std::map<std::string, Announcement> announced;
    for (const auto& [cluster, remote] : remotes) {
      auto& said = announced[cluster] = announcement_of(remote);
      const bool own = said.cluster == cluster;
      claims.push_back({cluster, remote.peer->meta.created, remote.peer->spec.allowed_cidrs,
                        own ? prefixes_of(said.nodes) : std::vector<Prefix>{},
                        remote.peer->status.cidrs, endpoints_of(remote.peer->spec.gateways),
                        own ? endpoints_of(said.gateways) : std::vector<IpAddress>{}});
    }
    auto judged = accepted_requests(claims, local, networks);
    bool changed = false;
    for (auto& [cluster, remote] : remotes) {
      const auto before = std::exchange(remote.claim, std::move(judged[cluster]));
      if (remote.claim.cidrs != before.cidrs) {
        remote.cidrs = PrefixSet(remote.claim.cidrs);
        remote.recheck = api::ObjectKey{};
      }
      remote.nodes = accepted_nodes(announced[cluster].nodes, remote.claim.cidrs);
      auto accepted = accepted_gateways(announced[cluster], remote.peer->spec, networks);
      auto& refusals = remote.claim.refusals;
      refusals.insert(refusals.end(), accepted.refusals.begin(), accepted.refusals.end());
      shorten(refusals);
      remote.gateways = std::move(accepted.gateways);
      changed = renew(cluster, remote) || changed;
    }
    if (changed && listener.on_clusters) listener.on_clusters();
  }

  // Updates clusters() for one cluster. True: on_clusters is due.
  bool renew(const std::string& cluster, Remote& remote) {
    AcceptedCluster next{
        remote.claim.cidrs,
        remote.nodes,
        remote.gateways,
        remote.claim.refusals,
        {export_names(remote.over_local), export_names(remote.not_listed)},
        remote.heard_all && exported_known,
        remote.said || remote.faults.count(std::string(kAnnouncementSubject)) != 0};
    for (const auto& [subject, refusal] : remote.faults) next.refusals.push_back(refusal);
    for (const auto& [key, refusal] : remote.refused_exports) next.refusals.push_back(refusal);
    remote.refusals_changed = false;
    const auto [shown, fresh] = clusters.try_emplace(cluster);
    auto& before = shown->second;
    if (!fresh && before == next) return false;
    before.refusals = next.refusals;
    before.left_out = next.left_out;
    const bool refusals_only = !fresh && before == next;
    before = std::move(next);
    if (refusals_only && listener.on_refusals) listener.on_refusals();
    return !refusals_only;
  }

  void publish(const std::string& cluster, Remote& remote) {
    if (renew(cluster, remote) && listener.on_clusters) listener.on_clusters();
  }

  void publish_refusals() {
    for (auto& [cluster, remote] : remotes) {
      if (remote.refusals_changed) publish(cluster, remote);
    }
  }

  std::vector<std::string> set_peers(const Peers& next) {
    if (std::exchange(peers, next) == next) return {};
    auto wanted = api::peers_by_cluster(peers);
    std::vector<std::string> gone;
    std::vector<std::string> other_imports;
    for (const auto& [cluster, remote] : remotes) {
      if (wanted.count(cluster) == 0) gone.push_back(cluster);
    }
    for (const auto& cluster : gone) {
      remotes.erase(cluster);
      clusters.erase(cluster);
      notify(cluster, nullptr);
    }
    for (auto& [cluster, peer] : wanted) {
      auto& remote = remotes[cluster];
      const auto before = std::exchange(remote.peer, std::move(peer));
      if (before == nullptr || before->spec.imports == remote.peer->spec.imports) continue;
      if (!remote.not_listed.empty()) remote.refusals_changed = true;
      remote.not_listed.clear();
      remote.recheck = api::ObjectKey{};
      other_imports.push_back(cluster);
    }
    evaluate_claims();
    if (!gone.empty() && listener.on_clusters) listener.on_clusters();
    return other_imports;
  }

  // True: more exports of this cluster are left.
  bool recheck(const std::string& cluster, Remote& remote, std::size_t& most) {
    auto at = remote.exports.lower_bound(*remote.recheck);
    for (; at != remote.exports.end() && most > 0; --most) {
      auto& [key, known] = *at++;
      if (verdict_of(remote, key) == api::ImportVerdict::kNotListed) {
        const auto gone = key;
        (void)forget(remote, gone);  // known to be there
        mark(remote, remote.not_listed, gone, true);
        notify(cluster, &gone);
        continue;
      }
      const auto before = known.fingerprint;
      evaluate(remote, key, known);
      if (known.fingerprint != before) notify(cluster, &key);
    }
    remote.recheck = at == remote.exports.end() ? std::nullopt : std::optional(at->first);
    return remote.recheck.has_value();
  }
};

RemoteState::RemoteState() : state_(std::make_unique<State>()) {}
RemoteState::~RemoteState() = default;

void RemoteState::set_listener(Listener listener) { state_->listener = std::move(listener); }

void RemoteState::connected(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr || remote->faults.erase(std::string(kVersionSubject)) == 0) return;
  state_->publish(cluster, *remote);
}

void RemoteState::announce(const std::string& cluster, AnnouncedChange change) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  // A difference to what was heard before the cluster was paired again. All of it comes, too.
  if (!remote->said && change.since != 0) return;
  const bool fault = remote->faults.erase(std::string(kAnnouncementSubject)) != 0;
  auto next = remote->said.value_or(Announcement{});
  merge(std::move(change), next);
  if (remote->said != next) {
    remote->said = std::move(next);
    return state_->evaluate_claims();
  }
  if (fault) state_->publish(cluster, *remote);
}

const NodePrefixes& RemoteState::announced(const std::string& cluster) const {
  static const NodePrefixes kNone;
  const auto* remote = state_->find(cluster);
  return remote == nullptr || !remote->said ? kNone : remote->said->nodes;
}

bool RemoteState::put(const std::string& cluster, const api::ObjectKey& service,
                      EncodedExport said) {
  return state_->change(cluster, service, std::move(said));
}

void RemoteState::withdraw(const std::string& cluster, const api::ObjectKey& service) {
  (void)state_->change(cluster, service, std::nullopt);  // it was there or not
}

void RemoteState::complete(const std::string& cluster) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr || std::exchange(remote->heard_all, true)) return;
  state_->publish(cluster, *remote);
  state_->notify(cluster, nullptr);
}

void RemoteState::refuse(const std::string& cluster, const FeedFault& fault) {
  auto* remote = state_->find(cluster);
  if (remote == nullptr) return;
  auto& faults = remote->faults;
  if (faults.size() >= kMaxRefusals && faults.count(fault.subject) == 0) return;
  auto refusal = refusal_of(fault);
  if (std::exchange(faults[fault.subject], refusal) != refusal) remote->refusals_changed = true;
}

void RemoteState::publish_refusals() { state_->publish_refusals(); }

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

std::vector<std::string> RemoteState::set_peers(const Peers& peers) {
  return state_->set_peers(peers);
}

void RemoteState::set_local(std::vector<Prefix> local_cidrs, std::vector<OwnPrefixes> own) {
  if (state_->local == local_cidrs && state_->networks == own) return;
  state_->local = std::move(local_cidrs);
  state_->networks = std::move(own);
  state_->evaluate_claims();
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
  const auto& known = exports(cluster);
  const auto found = known.find(service);
  if (found == known.end()) return std::nullopt;
  const auto& said = found->second.said;
  if (found->second.kept_out) {
    return Record{kept_out_record(cluster, service), kKeptOutFingerprint, true};
  }
  auto accepted = accepted_export(said.record(cluster), state_->find(cluster)->cidrs);
  // Not that of exports(): the prefixes may have changed since the last recheck().
  const auto fingerprint =
      accepted.refusal ? EncodedExport(accepted.record).fingerprint() : said.fingerprint();
  return Record{std::move(accepted.record), fingerprint, false};
}

}  // namespace cw::gateway
