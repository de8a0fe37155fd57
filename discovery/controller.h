// Discovery's heart: watches the resources, keeps the DNS table current on every replica, and on
// the one that holds the Lease writes ServiceImports and export conditions. Until the store has
// answered, the table is the one that was kept on disk (table_keeper.h). Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "api/mcs/export_book.h"
#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "api/store/informer.h"
#include "api/store/lease_elector.h"
#include "base/pour.h"
#include "discovery/dns/table.h"
#include "discovery/mcs/view.h"
#include "discovery/mcs/writer.h"
#include "discovery/table_keeper.h"

namespace cw::discovery {

struct ControllerConfig {
  std::string ns;
  std::string identity;
  dns::TableConfig table;  // its servers count where neither of the next two says anything
  Duration stale_drop{};
  bool derive = false;                           // vip: clusterip
  std::vector<std::string> export_namespaces{};  // opened for export; empty: all
  std::vector<IpAddress> server_addresses{};     // of ns.dns.clusterset.local
  std::string service{};                         // in `ns`: its cluster IPs are the same
  std::string table_file{};                      // empty: none is kept
  std::string reach_file{};                      // base/reach.h, of this host's route agent
  Duration table_max_age = std::chrono::hours(24);
};

class Controller {
 public:
  using Publish = std::function<void(std::shared_ptr<const dns::Table>)>;
  // The cluster's own pods and nodes: who may ask the DNS server.
  using Allow = std::function<void(const std::vector<Prefix>& clients)>;
  Controller(Loop& loop, api::Store& store, Random& random, ControllerConfig config,
             Publish publish, Allow allow = {}, Background disk = no_background());

  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  // Why not ready; empty: ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] bool leader() const { return lease_.leader(); }
  [[nodiscard]] const View& view() const { return view_.view(); }
  [[nodiscard]] std::uint64_t writes() const { return writer_.writes(); }
  [[nodiscard]] Duration last_build() const { return last_build_; }  // of the newest table
  // Our exports that lack endpoints of their Service.
  [[nodiscard]] std::size_t incomplete_exports() const;
  // How old the table on disk is that is served now; none: the table is the store's, or empty.
  [[nodiscard]] std::optional<Duration> kept_table_age() const;
  // Whether the route agent's word counts now, in place of ClusterPeer.status.
  [[nodiscard]] bool follows_route_agent() const { return reached_.has_value(); }
  [[nodiscard]] std::uint64_t table_file_errors() const { return keeper_ ? keeper_->errors() : 0; }
  // Gives the Lease up and calls back when that is written.
  void release(std::function<void()> done) { lease_.release(std::move(done)); }

 private:
  // A burst of events (a list, a rollout) is looked at once.
  static constexpr Duration kQuiet = std::chrono::milliseconds(5);
  // While two clusters meet, thousands of RemoteExports come. Names are made of them alone: they
  // have the API server first, the ServiceImports follow. 50 in half a second are such a meeting;
  // one that does not end is given way for so long.
  static constexpr std::size_t kMeeting = 50;
  static constexpr Duration kMeetingWindow = std::chrono::milliseconds(500);
  static constexpr Duration kMostPatience = std::chrono::seconds(60);
  static constexpr Duration kAskAgent = std::chrono::milliseconds(100);
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
  // What changed in the caches since the last look, told to book and view; returns the services
  // whose objects are to be looked at whatever their records say.
  Keys take_changes();
  void give_way();
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
  std::string cluster_;
  dns::TableBuilder tables_;
  bool published_ = false;
  std::vector<Prefix> cidrs_;
  std::set<std::string> families_;
  std::map<api::ObjectKey, api::ObjectKey> derived_of_;  // derived Service -> service
  bool writing_ = false;
  Duration last_build_{};
  Keys incomplete_;             // exports of which it was said that they lack endpoints
  std::unique_ptr<Kept> kept_;  // the table on disk, while that is served
  std::string no_kept_;         // why none is
  Handle kept_timer_;
  std::optional<std::map<std::string, bool>> reached_;  // by the agent's word, while that counts
  std::map<std::string, WallTime> lost_since_;          // of the clusters that it does not reach
  std::string agent_trouble_;
  Handle agent_timer_;
  Handle agent_ends_;  // its word counts a while longer than the store is away
  std::unique_ptr<TableKeeper> keeper_;
  std::set<std::string> dropped_;  // clusters of which it was said that their records went
  ObjectWriter writer_;
  api::EventRecorder recorder_;
  api::ConditionEvents<api::ServiceExport> export_events_;
  api::ConditionEvents<api::ServiceImport> import_events_;
  api::BadObjects bad_exports_;
  Handle drop_timer_;
  Pour meeting_{kMeeting, kMeetingWindow};
  std::optional<TimePoint> meets_since_;
  Handle meeting_timer_;
  api::LeaseElector lease_;  // last: it calls back into all of the above
};

}  // namespace cw::discovery
