// Which remote gateway has which remote prefix (homing/place.h), and which of that the device has
// already. Nothing is placed before the placement of an earlier process was adopted. Pure: time is
// an argument.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "homing/claim_flow.h"
#include "homing/place.h"
#include "homing/verdicts.h"
#include "tunnel/device_jobs.h"

namespace cw::homing {

class PlacementTable {
 public:
  using Clusters = std::map<std::string, RemoteCluster>;
  struct Change {
    std::uint64_t number = 0;  // of the placement
    Placement before;
    Placement after;
  };

  PlacementTable(const Clusters& clusters, const Verdicts& verdicts)
      : clusters_(clusters), verdicts_(verdicts) {}

  void receive_clusters();  // the clusters changed
  // After a restart the device may have outlived us. Its allowed IPs tell which gateway carried
  // what before.
  void adopt(const tunnel::DeviceStatus& device);
  [[nodiscard]] bool adopted() const { return adopted_; }

  // Places every prefix. The next apply brings it into the device.
  void place();
  // What moves because verdicts or claims changed. None: nothing moves.
  [[nodiscard]] std::optional<Change> move();
  // All claims of remote clusters' nodes. move() places them, as far as the budget of the cluster
  // allows (homing/claim_flow.h).
  void set_claims(const ClaimFlow::Claimed& all, TimePoint now) { claims_.set(all, now); }
  // Takes only the claims that changed, and looks at the prefixes of their nodes alone.
  [[nodiscard]] std::optional<Change> receive_claims(const ClaimFlow::Claimed& changed,
                                                     TimePoint now) {
    return move(claims_.take(changed, now));
  }
  // The claims that waited for the budget. Call it at next_claims().
  [[nodiscard]] std::optional<Change> release_claims(TimePoint now) {
    return move(claims_.release(now));
  }
  [[nodiscard]] std::optional<TimePoint> next_claims(TimePoint now) { return claims_.next(now); }

  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] const Standings& placed_by() const { return *placed_by_; }  // after a Change
  [[nodiscard]] const Homes& homes() const { return homes_; }

  void begin_apply() { applying_ = number_; }
  void end_apply();
  void record_moved(const tunnel::PeerMoves& moves);
  // The device has all prefixes of the node and family where placement() has them, and no newer
  // claim waits.
  [[nodiscard]] bool placed(const ClaimKey& key) const;

 private:
  [[nodiscard]] Standings standings() const {
    return {verdicts_.working, verdicts_.draining, claims_.counted()};
  }
  void set(Placement next);
  [[nodiscard]] std::optional<Change> move(const ClaimFlow::Claimed& claims);

  const Clusters& clusters_;
  const Verdicts& verdicts_;
  Homes homes_;  // of clusters_
  ClaimFlow claims_;
  Placement placement_;
  std::optional<Standings> placed_by_;        // the input of placement_; none: out of date
  std::uint64_t number_ = 0;                  // of placements so far
  std::map<Prefix, std::uint64_t> unplaced_;  // the placement since which the device lacks it
  std::uint64_t applying_ = 0;                // the placement of the running apply
  bool adopted_ = false;
};

}  // namespace cw::homing
