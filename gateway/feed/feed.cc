#include "gateway/feed/feed.h"

#include <fmt/format.h>
#include <unistd.h>

#include "api/names.h"
#include "base/log.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

constexpr Duration kBetweenReports = std::chrono::seconds(1);  // of refusals, to remote clusters

}  // namespace

Feed::Feed(Loop& loop, api::Store& store, Random& random, Metrics& metrics,
           const FeedConfig& config, std::function<void()> on_clusters)
    : loop_(loop),
      config_(config),
      book_(config.export_namespaces),
      inflow_(loop, remotes_, [this](const std::string& cluster) { client_.resync(cluster); }),
      imports_(
          loop, store, random,
          {{config.ns, std::string(api::kImportLease)},
           fmt::format("{}-gateway-{}-{}", config.self.cluster, config.self.ordinal, getpid())},
          remotes_),
      refusal_inbox_(loop, [this](const auto& told) { imports_.set_refusals(told); }),
      report_due_(loop, kBetweenReports, [this] { report_refusals(); }),
      server_(loop, random, config.private_key, {.heartbeat = config.heartbeat}),
      client_(loop, random,
              {.self = config.self,
               .private_key = config.private_key,
               .local_address = config.control_address,
               .port = netlink::kFeedPort,
               .heartbeat = config.heartbeat},
              callbacks(metrics)) {
  book_.keep_nothing();  // the server keeps them, encoded
  remotes_.set_listener(listener(std::move(on_clusters)));
}

RemoteState::Listener Feed::listener(std::function<void()> on_clusters) {
  RemoteState::Listener on;
  // Changes of their exports are reported by on_export.
  on.on_clusters = [this, changed = std::move(on_clusters)] {
    if (auto* writer = imports_.writer()) writer->reconcile_peers();
    log_refusals();
    report_due_.poke();
    changed();
  };
  on.on_refusals = [this] {
    if (auto* writer = imports_.writer()) writer->reconcile_refusals();
    log_refusals();
    report_due_.poke();
  };
  on.on_export = [this](const std::string& cluster, const api::ObjectKey* service) {
    if (auto* writer = imports_.writer()) writer->reconcile_exports(cluster, service);
  };
  return on;
}

FeedCallbacks Feed::callbacks(Metrics& metrics) {
  auto& events =
      metrics.counter("causeway_feed_events_total", "Feed events taken from remote gateways.");
  auto& refused = metrics.counter("causeway_feed_refused_total",
                                  "Feed messages refused: not readable or over a limit.");
  FeedCallbacks on;
  on.on_state = [this](const std::string& cluster, bool connected) {
    if (connected) remotes_.connected(cluster);
  };
  on.on_batch = [this, &events, &refused](const std::string& cluster, FeedBatch batch) {
    events.add(static_cast<double>(batch.changes.size() + (batch.announcement ? 1 : 0) +
                                   (batch.snapshot ? 1 : 0)));
    refused.add(static_cast<double>(batch.refused.size()));
    if (batch.report) refusal_inbox_.receive(cluster, std::move(*batch.report));
    inflow_.receive(cluster, std::move(batch));
  };
  return on;
}

void Feed::log_refusals() {
  for (const auto& line : refusal_log_.changed(remotes_.clusters(), loop_.now())) {
    log_warn("statements of a remote cluster refused, see condition ClaimsAccepted",
             {{"cluster", line.cluster},
              {"count", line.count},
              {"first", line.first},
              {"reason", reason_name(line.reason)}});
  }
}

void Feed::report_refusals() {
  std::map<std::string, RefusalReport> reports;
  for (const auto& [cluster, accepted] : remotes_.clusters()) {
    // Before its first announcement, only its last accepted status was judged.
    if (accepted.heard) reports.emplace(cluster, report_of(accepted.refusals));
  }
  server_.publish_refusals(reports);
}

void Feed::set_peers(const RemoteState::Peers& peers, std::vector<Prefix> local_cidrs,
                     std::vector<OwnPrefixes> own) {
  remotes_.set_local(std::move(local_cidrs), std::move(own));
  for (const auto& cluster : remotes_.set_peers(peers)) client_.resync(cluster);
  std::set<std::string> paired;
  for (const auto& [key, peer] : peers) paired.insert(peer->spec.cluster_id);
  refusal_inbox_.keep_only(paired);
  inflow_.schedule();
}

Result<> Feed::listen() { return server_.listen(config_.control_address, netlink::kFeedPort); }

void Feed::set_remotes(const std::map<std::string, RemoteCluster>& clusters,
                       const std::set<GatewayId>& working) {
  std::map<tunnel::Key, GatewayId> callers;
  std::map<std::string, std::vector<FeedTarget>> targets;
  for (const auto& [cluster, remote] : clusters) {
    std::vector<FeedTarget> good;
    std::vector<FeedTarget> rest;
    for (const auto& [ordinal, gateway] : remote.gateways) {
      const GatewayId id{cluster, ordinal};
      callers[gateway.key] = id;
      (working.count(id) != 0 ? good : rest).push_back({gateway.control_address, gateway.key});
    }
    // If no gateway works, all are tried: TCP may get through where probes are lost.
    auto& usable = good.empty() ? rest : good;
    if (!usable.empty()) targets[cluster] = std::move(usable);
  }
  server_.set_callers(std::move(callers));
  client_.set_targets(std::move(targets));
}

void Feed::log_unannounced(const std::string& what, const Result<>& published) {
  if (published) {
    unannounced_.erase(what);
  } else if (unannounced_.insert(what).second) {
    log_warn("not announced to remote clusters",
             {{"what", what}, {"error", published.error().text}});
  }
}

void Feed::announce(const Announcement& announcement) {
  log_unannounced("announcement", server_.publish(announcement));
}

void Feed::publish_exports(const ClusterView& view, const std::vector<Prefix>& cidrs) {
  if (!view.exports_synced()) return;
  remotes_.set_exported(view.exports.items());
  const auto changes = book_.update(config_.self.cluster, view.exports.items(),
                                    view.services.items(), view.slices.items(), cidrs);
  // Withdrawals first: they make room, here and within the receivers' limits.
  for (const auto& [service, record] : changes) {
    if (record == nullptr) server_.withdraw(service);
  }
  for (const auto& [service, record] : changes) {
    if (record == nullptr) continue;
    log_unannounced("export of " + service.to_string(), server_.publish(*record));
  }
  server_.complete();
}

}  // namespace cw::gateway
