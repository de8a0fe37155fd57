// The Events of discovery: about conditions of exports and imports, exports that cannot be read,
// and clusters whose exports are dropped. The replica with the Lease reports. Loop thread only.
#pragma once

#include <set>
#include <string>

#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "discovery/mcs/view.h"
#include "discovery/sources.h"

namespace cw::discovery {

class Report {
 public:
  Report(Loop& loop, api::Store& store, Random& random, const Sources& sources,
         const std::string& identity);

  // Call when exports or imports changed, and when this replica got or lost the Lease.
  void report_conditions(bool leads);
  void report_bad_export(const api::ObjectKey& key, const Error& error) {
    bad_exports_.report(key, error);
  }
  // Reports each outage once. The ServiceImports that remain also tell it. Those that are gone
  // cannot.
  void report_dropped(const std::set<std::string>& clusters, const Items<api::ClusterPeer>& peers);

 private:
  api::EventRecorder recorder_;
  api::ConditionEvents<api::ServiceExport> export_events_;
  api::ConditionEvents<api::ServiceImport> import_events_;
  api::BadObjects bad_exports_;
  std::set<std::string> dropped_;  // already reported
};

}  // namespace cw::discovery
