// Tells the administrator what is wrong with a ClusterPeer, as conditions on it: Accepted False
// where it does not count at all (the importer says the rest of Accepted), GatewaysAccepted False
// where some of its gateways are left out. One gateway writes: the one with the import Lease. Loop
// thread only.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "api/store/store.h"
#include "gateway/peers/roster.h"

namespace cw::gateway {

// The conditions `peer` should have; none: they are as they should be. Pure.
[[nodiscard]] std::optional<std::vector<api::Condition>> next_conditions(
    const api::ClusterPeer& peer, const Trouble* refused, const Trouble* gateways, WallTime now);

class PeerConditions {
 public:
  PeerConditions(Loop& loop, api::Store& store) : loop_(loop), store_(store) {}
  PeerConditions(const PeerConditions&) = delete;
  PeerConditions& operator=(const PeerConditions&) = delete;

  // Writes what differs. A write that fails is tried again by a later call, a second apart.
  void want(const RemoteState::Peers& all, const std::map<api::ObjectKey, Trouble>& refused,
            const std::map<api::ObjectKey, Trouble>& gateways);

 private:
  struct Write {
    Handle request;
    bool running = false;
    TimePoint not_before{};
  };
  Loop& loop_;
  api::Store& store_;
  std::map<api::ObjectKey, Write> writes_;
};

}  // namespace cw::gateway
