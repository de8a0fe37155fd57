#include "gateway/feed_side.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

ImporterConfig importer_config(const FeedSideConfig& config) {
  ImporterConfig importer;
  importer.ns = config.ns;
  importer.identity =
      fmt::format("{}-gateway-{}-{}", config.self.cluster, config.self.ordinal, getpid());
  return importer;
}

FeedServerConfig server_config(const FeedSideConfig& config) {
  FeedServerConfig server;
  server.heartbeat = config.heartbeat;
  return server;
}

FeedClientConfig client_config(const FeedSideConfig& config) {
  FeedClientConfig client;
  client.self = config.self;
  client.private_key = config.private_key;
  client.local_address = config.control_address;
  client.port = netlink::kFeedPort;
  client.heartbeat = config.heartbeat;
  return client;
}

}  // namespace

FeedSide::FeedSide(Loop& loop, api::Store& store, Random& random, Metrics& metrics,
                   const FeedSideConfig& config, std::function<void()> on_clusters)
    : loop_(loop),
      metrics_(metrics),
      config_(config),
      port_(netlink::kFeedPort),
      book_(config.export_namespaces),
      inflow_(loop, remotes_, [this](const std::string& cluster) { client_.resync(cluster); }),
      importer_(
          loop, store, random, importer_config(config), remotes_,
          [this, changed = std::move(on_clusters)] {
            say_refusals();
            changed();
          },
          [this] { say_refusals(); }),
      server_(loop, random, config.private_key, server_config(config)),
      client_(loop, random, client_config(config), counted(inflow_.callbacks())) {
  book_.keep_nothing();  // the server keeps them, encoded
}

void FeedSide::say_refusals() {
  for (const auto& line : refusal_log_.changed(remotes_.clusters(), loop_.now())) {
    log_warn("statements of a remote cluster refused, see condition ClaimsAccepted",
             {{"cluster", line.cluster},
              {"count", line.count},
              {"first", line.first},
              {"reason", reason_name(line.reason)}});
  }
}

FeedCallbacks FeedSide::counted(const FeedCallbacks& inner) {
  auto& events =
      metrics_.counter("causeway_feed_events_total", "Feed events taken from remote gateways.");
  auto& refused = metrics_.counter("causeway_feed_refused_total",
                                   "Feed messages refused: not readable or over a limit.");
  FeedCallbacks outer = inner;
  outer.on_announcement = [inner, &events](const std::string& cluster, Announcement announcement) {
    events.add();
    inner.on_announcement(cluster, std::move(announcement));
  };
  outer.on_snapshot = [inner, &events](const std::string& cluster, ExportMap all) {
    events.add();
    inner.on_snapshot(cluster, std::move(all));
  };
  outer.on_export = [inner, &events](const std::string& cluster, const api::ObjectKey& service,
                                     std::string wire) {
    events.add();
    inner.on_export(cluster, service, std::move(wire));
  };
  outer.on_withdrawn = [inner, &events](const std::string& cluster, const api::ObjectKey& key) {
    events.add();
    inner.on_withdrawn(cluster, key);
  };
  outer.on_refused = [inner, &refused](const std::string& cluster, const FeedFault& fault) {
    refused.add();
    inner.on_refused(cluster, fault);
  };
  return outer;
}

void FeedSide::set_peers(const RemoteState::Peers& peers, std::vector<Prefix> local_cidrs,
                         std::vector<OwnPrefixes> own) {
  remotes_.set_local(std::move(local_cidrs), std::move(own));
  take_peers(peers);
  inflow_.look();
}

void FeedSide::take_peers(const RemoteState::Peers& peers) {
  if (peers == peers_) return;
  // Exports that no rule named were not kept. If the rules change, all exports are asked for again.
  const auto before = api::peers_by_cluster(peers_);
  for (const auto& [cluster, peer] : api::peers_by_cluster(peers)) {
    const auto known = before.find(cluster);
    if (known == before.end() || known->second->spec.imports == peer->spec.imports) continue;
    client_.resync(cluster);
  }
  peers_ = peers;
  remotes_.set_peers(peers_);
}

void FeedSide::set_remotes(const std::map<std::string, RemoteCluster>& clusters,
                           const std::set<GatewayId>& working) {
  std::map<tunnel::Key, GatewayId> callers;
  std::set<std::string> followed;
  for (const auto& [cluster, remote] : clusters) {
    std::vector<FeedTarget> good;
    std::vector<FeedTarget> rest;
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      callers[gateway.key] = id;
      (working.count(id) != 0 ? good : rest).push_back({gateway.control_address, gateway.key});
    }
    // If no gateway works, all are tried: TCP may get through where probes are lost.
    const auto& targets = good.empty() ? rest : good;
    if (targets.empty()) continue;
    client_.set_targets(cluster, targets);
    followed.insert(cluster);
  }
  server_.set_callers(std::move(callers));
  for (const auto& cluster : followed_) {
    if (followed.count(cluster) == 0) client_.set_targets(cluster, {});
  }
  followed_ = std::move(followed);
}

void FeedSide::note(const Result<>& done, const std::string& what) {
  if (done) {
    refused_.erase(what);
  } else if (refused_.insert(what).second) {
    log_warn("not announced to remote clusters", {{"what", what}, {"error", done.error().text}});
  }
}

void FeedSide::announce(const Announcement& announcement) {
  note(server_.publish(announcement), "announcement");
}

void FeedSide::publish_exports(const ClusterView& view, const std::vector<Prefix>& cidrs) {
  if (!view.exports_synced()) return;
  remotes_.set_exported(view.exports.items());
  const auto changes = book_.update(config_.self.cluster, view.exports.items(),
                                    view.services.items(), view.slices.items(), cidrs);
  // Withdrawals first: they make room, here and within the receivers' limits.
  for (const auto& [service, record] : changes) {
    if (record == nullptr) server_.withdraw(service);
  }
  for (const auto& [service, record] : changes) {
    if (record != nullptr) note(server_.publish(*record), "export of " + service.to_string());
  }
  if (!complete_) server_.complete();
  complete_ = true;
}

}  // namespace cw::gateway
