// Discovery's heart: watches the resources, keeps the DNS table current on every replica, and on
// the one that holds the Lease writes ServiceImports and export conditions. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "api/mcs/export_book.h"
#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "api/store/informer.h"
#include "api/store/lease_elector.h"
#include "discovery/dns/table.h"
#include "discovery/mcs/view.h"
#include "discovery/mcs/writer.h"

namespace cw::discovery {

struct ControllerConfig {
  std::string ns;
  std::string identity;
  dns::TableConfig table;
  Duration stale_drop{};
  bool derive = false;                           // vip: clusterip
  std::vector<std::string> export_namespaces{};  // opened for export; empty: all
};

class Controller {
 public:
  using Publish = std::function<void(std::shared_ptr<const dns::Table>)>;
  Controller(Loop& loop, api::Store& store, Random& random, ControllerConfig config,
             Publish publish);

  // Why not ready; empty: ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] bool leader() const { return lease_.leader(); }
  [[nodiscard]] const View& view() const { return view_; }
  [[nodiscard]] std::uint64_t writes() const { return writer_.writes(); }
  [[nodiscard]] Duration last_build() const { return last_build_; }  // of the newest table
  // Gives the Lease up and calls back when that is written.
  void release(std::function<void()> done) { lease_.release(std::move(done)); }

 private:
  // A burst of events (a list, a rollout) is looked at once.
  static constexpr Duration kQuiet = std::chrono::milliseconds(5);

  void look();
  [[nodiscard]] bool synced() const;
  void write();

  Loop& loop_;
  ControllerConfig config_;
  Publish publish_;
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
  View view_;
  std::string cluster_;
  dns::TableBuilder tables_;
  std::vector<Prefix> cidrs_;
  Duration last_build_{};
  ObjectWriter writer_;
  api::EventRecorder recorder_;
  api::ConditionEvents<api::ServiceExport> export_events_;
  api::ConditionEvents<api::ServiceImport> import_events_;
  api::BadObjects bad_exports_;
  Handle drop_timer_;
  api::LeaseElector lease_;  // last: it calls back into all of the above
};

}  // namespace cw::discovery
