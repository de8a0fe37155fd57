// This gateway's part in the feed. It tells remote gateways about this cluster, follows their
// feeds, and (with the import Lease) writes what it accepted. Connects server, client, inflow and
// import writer, and counts messages. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/export_book.h"
#include "base/metrics.h"
#include "gateway/cluster_view.h"
#include "gateway/feed/client.h"
#include "gateway/feed/import_lease.h"
#include "gateway/feed/inflow.h"
#include "gateway/feed/refusal_inbox.h"
#include "gateway/feed/refusal_log.h"
#include "gateway/feed/remote_state.h"
#include "gateway/feed/server.h"
#include "gateway/peers/roster.h"

namespace cw::gateway {

struct FeedConfig {
  GatewayId self;
  std::string ns;
  IpAddress control_address;
  tunnel::Key private_key;
  Duration heartbeat = std::chrono::seconds(1);
  std::vector<std::string> export_namespaces{};  // opened for export; empty: all
};

class Feed {
 public:
  // `on_clusters` is called when clusters() changed.
  Feed(Loop& loop, api::Store& store, Random& random, Metrics& metrics, const FeedConfig& config,
       std::function<void()> on_clusters);
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // `own`: networks of this cluster other than its pods. No peer may claim them.
  void set_peers(const RemoteState::Peers& peers, std::vector<Prefix> local_cidrs,
                 std::vector<OwnPrefixes> own);
  [[nodiscard]] const std::map<std::string, AcceptedCluster>& clusters() const {
    return remotes_.clusters();
  }

  // Listens once the control address exists. Call it until it succeeds.
  [[nodiscard]] Result<> listen();
  // Sets the gateways that may call, and follows those of each cluster that work. If none works, it
  // follows all.
  void set_remotes(const std::map<std::string, RemoteCluster>& clusters,
                   const std::set<GatewayId>& working);
  void announce(const Announcement& announcement);
  void publish_exports(const ClusterView& view, const std::vector<Prefix>& cidrs);
  void set_connected(std::set<std::string> clusters) {
    imports_.set_connected(std::move(clusters));
  }
  void set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                    const std::map<api::ObjectKey, Trouble>& left_out) {
    imports_.set_troubles(refused, left_out);
  }

  [[nodiscard]] bool leading() const { return imports_.writer() != nullptr; }
  [[nodiscard]] std::map<std::string, FeedClient::View> view() const { return client_.view(); }
  [[nodiscard]] std::size_t streams() const { return server_.streams(); }
  void release(std::function<void()> done) { imports_.release(std::move(done)); }

 private:
  [[nodiscard]] RemoteState::Listener listener(std::function<void()> on_clusters);
  [[nodiscard]] FeedCallbacks callbacks(Metrics& metrics);
  void log_refusals();
  void report_refusals();
  void log_unannounced(const std::string& what, const Result<>& published);

  Loop& loop_;
  FeedConfig config_;
  api::ExportBook book_;
  std::set<std::string> unannounced_;  // what publish() refused; logged once
  RefusalLog refusal_log_;
  RemoteState remotes_;
  Inflow inflow_;
  ImportLease imports_;
  RefusalInbox refusal_inbox_;  // what remote clusters refuse of this one
  Debounce report_due_;         // of what this one refuses
  FeedServer server_;
  FeedClient client_;
};

}  // namespace cw::gateway
