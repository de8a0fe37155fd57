// How fast the claims of each remote cluster take effect. Twice as many changes as the cluster has
// nodes (in each family) count at once, and 256 at least; after that 50 per second do, the one that
// waits longest first. Of a node only the newest claim waits. A gateway that crashes moves each of
// its cluster's nodes once, so failovers never wait. Pure.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "base/token_bucket.h"
#include "homing/claims.h"
#include "homing/remote.h"
#include "tunnel/probe/party.h"

namespace cw::homing {

using tunnel::GatewayId;

class ClaimFlow {
 public:
  using Claimed = std::map<ClaimKey, GatewayId>;  // each for a gateway of the claiming cluster
  static constexpr double kPerSecond = 50;
  static constexpr double kLeastBurst = 256;
  // Between two turns of what waits, so that they are few.
  static constexpr Duration kPause = std::chrono::milliseconds(100);

  // The clusters now. Others are forgotten, and so is what waits of them.
  void set_clusters(const std::map<std::string, RemoteCluster>& clusters);
  // All claims now. Those that are not there any more stop counting at once.
  void set(const Claimed& all, TimePoint now);
  // Claims that changed. Those that count now; the others wait.
  Claimed take(const Claimed& changed, TimePoint now);
  // What waited and counts now. Call it at next().
  Claimed release(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> next(TimePoint now);

  [[nodiscard]] const Claimed& counted() const { return counted_; }
  // A newer claim waits.
  [[nodiscard]] bool waits(const ClaimKey& key) const;

 private:
  struct Cluster {
    TokenBucket tokens{kPerSecond, kLeastBurst};
    std::deque<ClaimKey> order;  // of those that wait, the oldest first
    TimePoint not_before{};
  };
  [[nodiscard]] bool counts(const ClaimKey& key, const GatewayId& claimed) const;

  std::map<std::string, Cluster> clusters_;
  Claimed counted_;
  Claimed waiting_;
};

}  // namespace cw::homing
