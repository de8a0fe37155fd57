// The writing half of the Importer: exists while the import Lease is held. Compares what the
// RemoteState accepted with what the store holds and writes the difference. Loop thread only.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "api/store/informer.h"
#include "api/types/cluster_peer.h"
#include "api/types/namespace.h"
#include "base/backoff.h"
#include "gateway/feed/imports.h"
#include "gateway/feed/remote_state.h"

namespace cw::api {
template <>
Result<gateway::ImportedExport> decode(const nlohmann::json& body);
}  // namespace cw::api

namespace cw::gateway {

// Which remote clusters are connected. Of one that was not yet since this process began, nothing is
// said until `settled`: its ClusterPeer says what the process before saw.
struct Presence {
  std::set<std::string> connected;
  std::set<std::string> lost;  // were connected
  TimePoint settled{};
  [[nodiscard]] std::optional<bool> of(const std::string& cluster, TimePoint now) const;
};

class ImportWriter {
 public:
  ImportWriter(Loop& loop, api::Store& store, Random& random, const RemoteState& intake,
               const Presence& presence, api::EventRecorder& events);
  ImportWriter(const ImportWriter&) = delete;
  ImportWriter& operator=(const ImportWriter&) = delete;

  void look_at_all() { look_.poke(); }
  void look_at_peers() { look_at_peers_.poke(); }        // ClusterPeer.status only
  void look_at_refusals() { look_at_refusals_.poke(); }  // the same, at most once a second
  void look_at(const std::string& cluster, const api::ObjectKey& service);
  [[nodiscard]] bool idle() const;
  [[nodiscard]] const std::string& last_error() const { return last_error_; }

 private:
  // What we wrote, until the informer shows something newer than it showed then.
  template <typename T>
  struct Written {
    std::shared_ptr<const T> seen;
    std::shared_ptr<const T> now;  // null: removed
  };

  [[nodiscard]] bool ready() const {
    return peers_.synced() && namespaces_.synced() && imports_.synced();
  }
  void peers_changed();
  void imports_changed();
  void pass();
  void sweep();
  bool sweep_stored(std::size_t& most);
  bool sweep_said(std::size_t& most);
  void pump();
  [[nodiscard]] ImportStep step_of(const api::ObjectKey& key);
  [[nodiscard]] std::shared_ptr<const ImportedExport> stored(const api::ObjectKey& key);
  void start(const api::ObjectKey& key, ImportStep step);
  void put(const api::ObjectKey& key, bool create);
  void remove(const api::ObjectKey& key);
  // `asked`: the fingerprint of the record that was written.
  void finished(const api::ObjectKey& key, Result<api::Object> result,
                std::optional<std::uint64_t> asked = {});
  void note(const api::ObjectKey& key, std::shared_ptr<const ImportedExport> now);
  void read_again(const api::ObjectKey& key);
  void failed(const Error& error);

  void write_peers();
  void write_peer(const std::shared_ptr<const api::ClusterPeer>& peer, bool first);

  Loop& loop_;
  api::Store& store_;
  Random& random_;
  const RemoteState& intake_;
  const Presence& presence_;
  Debounce look_;
  Debounce look_at_some_;
  Debounce look_at_peers_;
  Debounce look_at_refusals_;
  // What a pass has still to compare, in slices: RemoteExports from this key on, then exports from
  // this cluster and Service on.
  std::optional<api::ObjectKey> stored_from_;
  std::optional<std::pair<std::string, api::ObjectKey>> said_from_;
  bool sweeps_again_ = false;  // something changed since it began
  Handle next_slice_;
  std::set<std::string> paired_;
  std::map<api::ObjectKey, Written<ImportedExport>> written_;
  std::map<api::ObjectKey, Written<api::ClusterPeer>> written_peers_;
  std::set<api::ObjectKey> todo_;
  std::string last_error_;
  bool looked_ = false;  // at least one pass since the informers are synced
  Backoff backoff_{std::chrono::milliseconds(100), std::chrono::seconds(30)};
  Handle retry_;
  Handle settled_;
  std::map<api::ObjectKey, Handle> writes_;       // under way
  std::map<api::ObjectKey, Handle> peer_writes_;  // under way
  api::Informer<api::ClusterPeer> peers_;
  api::Informer<api::Namespace> namespaces_;
  api::Informer<ImportedExport> imports_;
  api::ConditionEvents<api::ClusterPeer> events_;
  api::BadObjects bad_peers_;
};

}  // namespace cw::gateway
