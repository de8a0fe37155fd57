// The coordinator of causeway-discovery: a list of parts. It keeps the DNS table current on every
// replica. On the replica with the Lease it also keeps ServiceImports, derived objects and
// conditions of exports. An event only says that something changed; reconcile() reads everything.
// Loop thread only.
#pragma once

#include <functional>
#include <optional>

#include "api/store/lease_elector.h"
#include "discovery/agent_reach.h"
#include "discovery/exports.h"
#include "discovery/kept_names.h"
#include "discovery/objects.h"
#include "discovery/report.h"
#include "discovery/served_names.h"
#include "discovery/sources.h"
#include "discovery/table_keeper.h"

namespace cw::discovery {

class Coordinator {
 public:
  // `config` must outlive it.
  Coordinator(Loop& loop, api::Store& store, Random& random, const Config& config, Outlet outlet,
              Background disk = no_background());

  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  // The reasons why it is not ready. Empty: it is ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  [[nodiscard]] bool leader() const { return lease_.leader(); }
  [[nodiscard]] const ServedNames& names() const { return names_; }
  [[nodiscard]] const Exports& exports() const { return exports_; }
  [[nodiscard]] const KeptNames& kept() const { return kept_; }
  [[nodiscard]] const AgentReach& reach() const { return reach_; }
  [[nodiscard]] const Objects& objects() const { return objects_; }
  [[nodiscard]] std::uint64_t table_file_errors() const { return keeper_ ? keeper_->errors() : 0; }
  // Releases the Lease, and calls `done` when that is written.
  void release(std::function<void()> done) { lease_.release(std::move(done)); }

 private:
  // The events of a burst (a list, a rollout) are handled in one pass.
  static constexpr Duration kQuiet = std::chrono::milliseconds(5);

  void reconcile();
  void on_change(api::Kind kind);
  // Passes the changes to the parts. Returns the services whose names and objects must be made
  // again even if their records did not change.
  Keys record(const Changes& changes);
  [[nodiscard]] LastKnown last_known() const;

  Loop& loop_;
  const Config& config_;
  Outlet outlet_;
  Debounce debounce_;
  Sources sources_;
  Exports exports_;
  AgentReach reach_;
  KeptNames kept_;
  ServedNames names_;
  std::optional<TableKeeper> keeper_;
  Report report_;
  Objects objects_;
  Handle drop_timer_;
  api::LeaseElector lease_;  // last: it calls back into all of the above
};

}  // namespace cw::discovery
