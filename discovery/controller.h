// The coordinator of causeway-discovery. It watches the resources and keeps the DNS table current
// on every replica. On the replica with the Lease it also writes ServiceImports, derived objects
// and conditions of exports. Until the store has answered, it serves the table from disk
// (table_keeper.h). Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "api/mcs/export_book.h"
#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "api/store/informer.h"
#include "api/store/lease_elector.h"
#include "api/types/own_cluster.h"
#include "discovery/burst_detector.h"
#include "discovery/dns/table.h"
#include "discovery/mcs/view.h"
#include "discovery/mcs/writer.h"
#include "discovery/table_keeper.h"

namespace cw::discovery {

struct ControllerConfig {
  std::string ns;
  std::string identity;
  dns::TableConfig table;  // its servers are used if the next two have no addresses
  Duration stale_drop{};
  bool derive = false;                           // vip: clusterip
  std::vector<std::string> export_namespaces{};  // opened for export; empty: all
  std::vector<IpAddress> server_addresses{};     // of ns.dns.clusterset.local
  std::string service{};     // in `ns`; its cluster IPs are used if server_addresses is empty
  std::string table_file{};  // empty: no table is kept
  std::string reach_file{};  // written by this host's route agent (base/reach.h)
  Duration table_max_age = std::chrono::hours(24);
};

class Controller {
 public:
  using Publish = std::function<void(std::shared_ptr<const dns::Table>)>;
  // Receives the DNS server's clients: the pods and nodes of this cluster.
  using Allow = std::function<void(const std::vector<Prefix>& clients)>;
  Controller(Loop& loop, api::Store& store, Random& random, ControllerConfig config,
             Publish publish, Allow allow = {}, Background disk = no_background());

  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // The reasons why it is not ready. Empty: it is ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] bool leader() const { return lease_.leader(); }
  [[nodiscard]] const View& view() const { return view_.view(); }
  [[nodiscard]] std::uint64_t writes() const { return writer_.writes(); }
  [[nodiscard]] Duration last_build() const { return last_build_; }  // of the newest table
  // The number of this cluster's exports that lack endpoints of their Service.
  [[nodiscard]] std::size_t incomplete_exports() const;
  // The age of the table from disk while it is served. No value: the store's table, or none, is
  // served.
  [[nodiscard]] std::optional<Duration> kept_table_age() const;
  // True: the route agent's file is used now, in place of ClusterPeer.status.
  [[nodiscard]] bool follows_route_agent() const { return reached_.has_value(); }
  [[nodiscard]] std::uint64_t table_file_errors() const { return keeper_ ? keeper_->errors() : 0; }
  // Releases the Lease, and calls `done` when that is written.
  void release(std::function<void()> done) { lease_.release(std::move(done)); }

 private:
  // The events of a burst (a list, a rollout) are handled in one pass.
  static constexpr Duration kQuiet = std::chrono::milliseconds(5);
  // Initial sync: when two clusters connect, thousands of RemoteExports arrive. DNS names need only
  // them. So the API server first gets the RemoteExports, and new ServiceImports wait. 50
  // RemoteExports in 500 ms count as an initial sync. Creations wait for kMostPatience at most. All
  // names then come sooner, and the ServiceImports come no later.
  static constexpr std::size_t kMeeting = 50;
  static constexpr Duration kMeetingWindow = std::chrono::milliseconds(500);
  static constexpr Duration kMostPatience = std::chrono::seconds(60);
  // The period of reading reach_file while the store is away.
  static constexpr Duration kAskAgent = std::chrono::milliseconds(100);
  // Once the store is back, gateways need this time to bring ClusterPeer.status up to date.
  static constexpr Duration kPeersCatchUp = std::chrono::seconds(10);

  using Keys = std::set<api::ObjectKey>;
  struct Kept {
    LastKnown known;
    WallTime current_until;
    ViewBook book;
    dns::TableBuilder tables;
  };

  void look();
  [[nodiscard]] bool synced() const;
  [[nodiscard]] bool available() const;
  void serve_kept();
  void publish_kept();
  void drop_kept();
  void follow_agent();
  void forget_agent();
  void hear_agent();
  [[nodiscard]] Away away(const Items<api::ClusterPeer>& peers);
  [[nodiscard]] LastKnown last_known() const;
  [[nodiscard]] std::vector<IpAddress> servers(const Items<api::Service>& services) const;
  void put(dns::TableBuilder& tables, const View& view, const Items<api::Service>& services,
           const Keys& changed, const std::string& cluster) const;
  [[nodiscard]] std::uint32_t clock_serial() const;
  [[nodiscard]] bool take_cluster();
  // Passes the changes in the caches since the last pass to the book and the view. Returns the
  // services whose objects must be written again even if their records did not change.
  Keys take_changes();
  void defer_creates();
  void publish(const Keys& changed);
  void write(Keys changed);
  void tell_dropped();
  void tell_incomplete();
  void note_unreadable_slice(const api::ObjectKey& key);
  void all_services(Keys& keys) const;

  Loop& loop_;
  ControllerConfig config_;
  Publish publish_;
  Allow allow_;
  Debounce debounce_;
  api::Informer<api::ClusterProperty> properties_;
  api::Informer<api::ServiceExport> exports_;
  api::Informer<api::Service> services_;
  api::Informer<api::EndpointSlice> slices_;
  api::Informer<api::Node> nodes_;
  api::Informer<api::Namespace> namespaces_;
  api::Informer<api::RemoteExport> remote_;
  api::Informer<api::ClusterPeer> peers_;
  api::Informer<api::ServiceImport> imports_;
  api::ExportBook book_;
  ViewBook view_;
  api::OwnCluster own_cluster_;
  dns::TableBuilder tables_;
  bool published_ = false;
  std::vector<Prefix> cidrs_;
  std::set<std::string> families_;
  std::map<api::ObjectKey, api::ObjectKey> derived_of_;  // derived Service -> service
  bool writing_ = false;
  Duration last_build_{};
  Keys incomplete_;             // exports already logged as lacking endpoints
  std::unique_ptr<Kept> kept_;  // the table from disk, while it is served
  std::string no_kept_;         // why there is none
  Handle kept_timer_;
  std::optional<std::map<std::string, bool>> reached_;  // from the agent's file, while used
  std::map<std::string, WallTime> lost_since_;          // of the clusters that it does not reach
  std::string agent_trouble_;
  Handle agent_timer_;
  Handle agent_ends_;  // set when the store is back; the file is used until it fires
  std::unique_ptr<TableKeeper> keeper_;
  std::set<std::string> dropped_;  // clusters whose drop was already reported
  ObjectWriter writer_;
  api::EventRecorder recorder_;
  api::ConditionEvents<api::ServiceExport> export_events_;
  api::ConditionEvents<api::ServiceImport> import_events_;
  api::BadObjects bad_exports_;
  Handle drop_timer_;
  BurstDetector burst_{kMeeting, kMeetingWindow};
  std::optional<TimePoint> initial_sync_since_;
  Handle meeting_timer_;
  api::LeaseElector lease_;  // last: it calls back into all of the above
};

}  // namespace cw::discovery
