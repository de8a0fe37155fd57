// The writing half of the Importer: exists while the import Lease is held. It compares what the
// RemoteState accepted with what the store has, and writes the difference: RemoteExports, and
// ClusterPeer.status through PeerStatus. Loop thread only.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "api/types/namespace.h"
#include "gateway/feed/imports.h"
#include "gateway/feed/peer_status.h"

namespace cw::api {
template <>
Result<gateway::ImportedExport> decode(const nlohmann::json& body);
}  // namespace cw::api

namespace cw::gateway {

class ImportWriter {
 public:
  ImportWriter(Loop& loop, api::Store& store, Random& random, const RemoteState& intake,
               const PeerFacts& facts, api::EventRecorder& events);

  void look_at_all();
  void look_at_peers() { peers_.look(); }
  void look_at_refusals() { peers_.look_at_refusals(); }
  void look_at(const std::string& cluster, const api::ObjectKey& service);
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
  void look_at(const api::ObjectKey& record);
  [[nodiscard]] api::Verb verb_of(const api::ObjectKey& record) const;
  [[nodiscard]] api::Step step(const api::ObjectKey& record) const;

  Loop& loop_;
  const RemoteState& intake_;
  Debounce look_;
  Sweep sweep_;
  bool looked_ = false;  // a pass began since the informers are synced
  PeerStatus peers_;
  api::Informer<api::Namespace> namespaces_;
  api::Informer<ImportedExport> imports_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
