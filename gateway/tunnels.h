// Keeps the WireGuard device as the roster and our probes want it. When a remote gateway falls, its
// prefixes move at once and from memory, without the store and without a handshake. Driver calls
// that may wait run on another thread (tunnel/device_jobs.h), so their results come later. Loop
// thread only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/peers/device.h"
#include "gateway/peers/peer_watch.h"
#include "gateway/peers/roster.h"
#include "homing/drain_words.h"
#include "homing/move_log.h"
#include "homing/placement_table.h"
#include "tunnel/device_jobs.h"
#include "tunnel/driver.h"

namespace cw::gateway {

using homing::ClaimFlow;
using homing::PlacementTable;

struct TunnelsConfig {
  tunnel::Key private_key;
  std::uint16_t listen_port = 0;
  Duration keepalive = std::chrono::seconds(5);
};

class Tunnels {
 public:
  using Views = tunnel::ProbeViews;

  Tunnels(Loop& loop, tunnel::Driver& driver, Metrics& metrics, const TunnelsConfig& config,
          TunnelEvents on = {}, Background background = no_background());
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  // Sets the paired clusters, and applies the difference.
  void set_clusters(PlacementTable::Clusters clusters);
  // Sets the probes' results. Prefixes whose gateway changes move at once.
  void set_views(Views views);
  // Sets all claims of remote clusters' nodes. Prefixes move at once, as far as the budget of the
  // cluster allows (homing/claim_flow.h).
  void set_claims(const ClaimFlow::Claimed& all);
  // Takes only the claims that changed, and looks at the prefixes of their nodes alone.
  void change_claims(const ClaimFlow::Claimed& changed);
  // Reads the device, repairs it and tries other endpoints. Call it about every second.
  void reconcile();

  [[nodiscard]] const PlacementTable::Clusters& clusters() const { return clusters_; }
  [[nodiscard]] const Placement& placement() const { return table_.placement(); }
  [[nodiscard]] const Verdicts& verdicts() const { return verdicts_; }
  // As last read.
  [[nodiscard]] const tunnel::DeviceStatus& device() const { return device_.status; }
  // The driver has answered once, with success or an error. Before that it is unknown whether a
  // device exists.
  [[nodiscard]] bool tried() const { return device_.tried; }
  [[nodiscard]] bool applied() const { return device_.applied && device_.error.empty(); }
  [[nodiscard]] const std::string& error() const { return device_.error; }  // of the last call
  // The device has all prefixes of the claim at the peer of placement(), and no newer claim waits.
  [[nodiscard]] bool placed(const homing::ClaimKey& key) const {
    return device_.applied && table_.placed(key);
  }
  // What is wrong with single peers.
  [[nodiscard]] const PeerWatch& peers() const { return peers_; }

 private:
  struct Device {
    tunnel::DeviceStatus status;  // as last read
    bool tried = false;
    bool applied = false;
    std::string error;
  };
  [[nodiscard]] std::set<GatewayId> gateways() const;
  void place();
  void carry_out(const std::optional<PlacementTable::Change>& change);
  void await_claims();
  void write_moves();
  [[nodiscard]] tunnel::DeviceJobHooks job_hooks();
  [[nodiscard]] tunnel::DeviceSpec spec() const;
  void receive_device(Result<tunnel::DeviceStatus> read);
  void receive_applied(const Result<>& done);
  void record(const Result<>& done, const std::string& what);

  Loop& loop_;
  tunnel::Driver& driver_;
  Counter& moved_;
  TunnelsConfig config_;
  TunnelEvents on_;
  PlacementTable::Clusters clusters_;
  Verdicts verdicts_;
  homing::DrainWords drain_words_;
  PlacementTable table_{clusters_, verdicts_};
  homing::MoveLog move_log_;
  Handle claim_timer_;
  Device device_;
  tunnel::DeviceJobs jobs_;
  PeerWatch peers_;
};

}  // namespace cw::gateway
