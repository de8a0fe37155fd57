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

  [[nodiscard]] std::optional<bool> is_connected(const std::string& cluster, TimePoint now) const;
};

class PeerStatus {
 public:
  // `on_paired`: paired() changed.
  PeerStatus(Loop& loop, api::Store& store, Random& random, const RemoteState& intake,
             const PeerFacts& facts, api::EventRecorder& events, std::function<void()> on_paired);

  void look() { look_.poke(); }
  void look_at_refusals() { look_at_refusals_.poke(); }  // the same, at most once per second
  // Ids of the clusters that have a ClusterPeer. None before the first list.
  [[nodiscard]] const std::optional<std::set<std::string>>& paired() const { return paired_; }
  [[nodiscard]] bool idle() const { return keeper_.idle(); }

 private:
  void peers_changed();
  void look_at_each();
  [[nodiscard]] api::Step step(const api::ObjectKey& key) const;
  [[nodiscard]] bool counts(const api::ClusterPeer& peer) const;

  Loop& loop_;
  const RemoteState& intake_;
  const PeerFacts& facts_;
  std::function<void()> on_paired_;
  std::optional<std::set<std::string>> paired_;
  Debounce look_;
  Debounce look_at_refusals_;
  Handle settled_;
  api::Informer<api::ClusterPeer> peers_;
  api::ConditionEvents<api::ClusterPeer> events_;
  api::BadObjects bad_peers_;
  api::ObjectKeeper keeper_;
};

}  // namespace cw::gateway
