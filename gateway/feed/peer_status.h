// Writes the status of all ClusterPeers: what their clusters announced, whether they are connected,
// and what is wrong with them. One gateway writes: the holder of the import Lease. Loop thread
// only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "api/store/bad_objects.h"
#include "api/store/condition_events.h"
#include "api/store/object_keeper.h"
#include "gateway/feed/remote_state.h"
#include "gateway/peers/roster.h"

namespace cw::gateway {

// What the gateway knows of its peers beside their announcements.
struct PeerFacts {
  std::set<std::string> connected;
  std::set<std::string> lost;  // were connected
  // A cluster that was not connected since this process began has no value until then: its
  // ClusterPeer keeps the value that the process before wrote.
  TimePoint settled{};
  std::map<api::ObjectKey, Trouble> refused;   // ClusterPeers that do not count at all
  std::map<api::ObjectKey, Trouble> left_out;  // ClusterPeers some of whose gateways do not count
  std::map<std::string, RefusalReport> told;   // what a cluster refuses of this one, if it said so

  [[nodiscard]] std::optional<bool> is_connected(const std::string& cluster, TimePoint now) const;
};

class PeerStatus {
 public:
  // `on_paired`: the clusters in paired() changed.
  PeerStatus(Loop& loop, api::Store& store, Random& random, const RemoteState& remotes,
             const PeerFacts& facts, api::EventRecorder& events, std::function<void()> on_paired);

  void reconcile() { due_.poke(); }
  void reconcile_refusals() { refusals_due_.poke(); }  // the same, at most once per second
  // The ClusterPeers that count, by cluster id. None before the first list.
  [[nodiscard]] const std::optional<api::PeersByCluster>& paired() const { return paired_; }
  [[nodiscard]] bool idle() const { return keeper_.idle(); }

 private:
  void peers_changed();
  void reconcile_each();
  [[nodiscard]] api::Step step(const api::ObjectKey& key) const;

  Loop& loop_;
  const RemoteState& remotes_;
  const PeerFacts& facts_;
  std::function<void()> on_paired_;
  std::optional<api::PeersByCluster> paired_;
  Debounce due_;
  Debounce refusals_due_;
  Handle settled_;
  api::Informer<api::ClusterPeer> peers_;
  api::ConditionEvents<api::ClusterPeer> events_;
  api::BadObjects bad_peers_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
