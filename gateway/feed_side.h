// This gateway's part in the feed. It tells remote gateways about this cluster, follows their
// feeds, and (with the import Lease) writes what it accepted. Connects server, client, inflow and
// importer, and counts messages. Loop thread only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/mcs/export_book.h"
#include "base/metrics.h"
#include "gateway/cluster_view.h"
#include "gateway/feed/client.h"
#include "gateway/feed/importer.h"
#include "gateway/feed/inflow.h"
#include "gateway/feed/refusal_log.h"
#include "gateway/feed/remote_state.h"
#include "gateway/feed/server.h"
#include "gateway/peers/roster.h"

namespace cw::gateway {

struct FeedSideConfig {
  GatewayId self;
  std::string ns;
  IpAddress control_address;
  tunnel::Key private_key;
  Duration heartbeat = std::chrono::seconds(1);
  std::vector<std::string> export_namespaces{};  // opened for export; empty: all
};

class FeedSide {
 public:
  // `on_clusters` is called when clusters() changed.
  FeedSide(Loop& loop, api::Store& store, Random& random, Metrics& metrics,
           const FeedSideConfig& config, std::function<void()> on_clusters);
  FeedSide(const FeedSide&) = delete;
  FeedSide& operator=(const FeedSide&) = delete;

  // `own`: networks of this cluster other than its pods. No peer may claim them.
  void set_peers(const RemoteState::Peers& peers, std::vector<Prefix> local_cidrs,
                 std::vector<OwnPrefixes> own);
  [[nodiscard]] const std::map<std::string, AcceptedCluster>& clusters() const {
    return remotes_.clusters();
  }

  // Listens once the control address exists. Call it until it succeeds.
  [[nodiscard]] Result<> listen() { return server_.listen(config_.control_address, port_); }
  // Sets the gateways that may call, and follows those of each cluster that work. If none works, it
  // follows all.
  void set_remotes(const std::map<std::string, RemoteCluster>& clusters,
                   const std::set<GatewayId>& working);
  void announce(const Announcement& announcement);
  void publish_exports(const ClusterView& view, const std::vector<Prefix>& cidrs);
  void set_connected(std::vector<std::string> clusters) {
    importer_.set_connected(std::move(clusters));
  }

  void set_troubles(const std::map<api::ObjectKey, Trouble>& refused,
                    const std::map<api::ObjectKey, Trouble>& left_out) {
    importer_.set_troubles(refused, left_out);
  }

  [[nodiscard]] bool leading() const { return importer_.leading(); }
  [[nodiscard]] std::map<std::string, FeedClient::View> view() const { return client_.view(); }
  [[nodiscard]] std::size_t streams() const { return server_.streams(); }
  void release(std::function<void()> done) { importer_.release(std::move(done)); }

 private:
  void take_peers(const RemoteState::Peers& peers);
  [[nodiscard]] FeedCallbacks counted(const FeedCallbacks& inner);
  void say_refusals();
  void note(const Result<>& done, const std::string& what);

  Loop& loop_;
  Metrics& metrics_;
  FeedSideConfig config_;
  std::uint16_t port_;
  RemoteState::Peers peers_;
  std::set<std::string> followed_;
  api::ExportBook book_;
  bool complete_ = false;
  std::set<std::string> refused_;  // what publish() refused; logged once
  RefusalLog refusal_log_;
  RemoteState remotes_;
  Inflow inflow_;
  Importer importer_;
  FeedServer server_;
  FeedClient client_;
};

}  // namespace cw::gateway
