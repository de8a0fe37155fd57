// Writes what the RemoteState accepted into the store: it compares both and writes the difference.
// That is RemoteExports, and ClusterPeer.status through PeerStatus. A cluster that is away keeps
// its records. They are removed when the cluster is unpaired or withdraws them. Records wait until
// their Namespace exists. It exists while the import Lease is held (import_lease.h). Loop thread
// only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "api/types/namespace.h"
#include "gateway/feed/import_step.h"
#include "gateway/feed/peer_status.h"

namespace cw::gateway {

class ImportWriter {
 public:
  ImportWriter(Loop& loop, api::Store& store, Random& random, const RemoteState& remotes,
               const PeerFacts& facts, api::EventRecorder& events);

  void reconcile_all();
  void reconcile_peers() { peers_.reconcile(); }
  void reconcile_refusals() { peers_.reconcile_refusals(); }
  // Null: all exports.
  void reconcile_exports(const std::string& cluster, const api::ObjectKey* service);
  [[nodiscard]] bool idle() const;

 private:
  // A pass over everything, in slices.
  struct Sweep {
    // What comes next: an export of this cluster. No cluster: a stored RemoteExport.
    std::optional<std::pair<std::string, api::ObjectKey>> from;
    bool again = false;  // something changed since it began
    Handle next_slice;
  };

  void imports_changed();
  void pass();
  void sweep();
  bool sweep_some();
  void reconcile(const api::ObjectKey& record);
  [[nodiscard]] api::Verb verb_of(const api::ObjectKey& record) const;
  [[nodiscard]] api::Step step(const api::ObjectKey& record) const;

  Loop& loop_;
  const RemoteState& remotes_;
  Debounce pass_due_;
  Sweep sweep_;
  bool began_ = false;  // a pass began since the informers are synced
  PeerStatus peers_;
  api::Informer<api::Namespace> namespaces_;
  api::Informer<ImportedExport> imports_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
