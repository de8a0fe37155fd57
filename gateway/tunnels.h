// Keeps the WireGuard device as the roster and our probes want it. When a remote gateway falls, its
// prefixes move at once and from memory, without the store and without a handshake. Driver calls
// that may wait run on another thread (tunnel/device_jobs.h), so their results come later. Loop
// thread only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/peers/device.h"
#include "gateway/peers/endpoint_trials.h"
#include "gateway/peers/rivals.h"
#include "gateway/peers/roster.h"
#include "gateway/peers/stuck.h"
#include "homing/claim_flow.h"
#include "homing/drain_words.h"
#include "homing/move_log.h"
#include "tunnel/device_jobs.h"
#include "tunnel/driver.h"
#include "tunnel/probe/prober.h"

namespace cw::gateway {

using homing::ClaimFlow;
using homing::Homes;
using homing::Move;
using homing::Standings;

struct TunnelsConfig {
  tunnel::Key private_key;
  std::uint16_t listen_port = 0;
  Duration keepalive = std::chrono::seconds(5);
};

// Events for people. Empty hooks are skipped. No hook may call Tunnels.
struct TunnelEvents {
  std::function<void(const std::vector<Move>&)> moved;
  std::function<void(const GatewayId&, Remedy)> stuck;
  std::function<void()> changed = {};  // tried(), applied() or error() changed
  std::function<void(const GatewayId&, const std::string& sentence)> rival = {};
};

class Tunnels {
 public:
  using Views = tunnel::ProbeViews;

  Tunnels(Loop& loop, tunnel::Driver& driver, Metrics& metrics, const TunnelsConfig& config,
          TunnelEvents tell = {}, Background background = no_background());
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  // Sets the paired clusters, and applies the difference.
  void set_clusters(std::map<std::string, RemoteCluster> clusters);
  // Sets the probes' results. Prefixes whose gateway changes move at once.
  void set_views(Views views);
  // Sets all claims of remote clusters' nodes. Prefixes move at once, as far as the budget of the
  // cluster allows (homing/claim_flow.h).
  void set_claims(const ClaimFlow::Claimed& all);
  // Takes only the claims that changed, and looks at their prefixes alone.
  void change_claims(const ClaimFlow::Claimed& changed);
  // Reads the device, repairs it and tries other endpoints. Call it about every second.
  void look();

  [[nodiscard]] const std::map<std::string, RemoteCluster>& clusters() const { return clusters_; }
  [[nodiscard]] const Placement& placement() const { return placement_; }
  [[nodiscard]] const Views& views() const { return views_; }
  // As last read.
  [[nodiscard]] const tunnel::DeviceStatus& device() const { return device_; }
  // The driver has answered once, with success or an error. Before that it is unknown whether a
  // device exists.
  [[nodiscard]] bool tried() const { return tried_; }
  [[nodiscard]] bool applied() const { return applied_ && error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }  // of the last call
  // The device has the prefix at the peer of placement(), and no newer claim of it waits.
  [[nodiscard]] bool placed(const Prefix& prefix) const {
    return applied_ && unplaced_.count(prefix) == 0 && !claims_.waits(prefix);
  }
  [[nodiscard]] const std::set<GatewayId>& working() const { return working_; }  // by the probes
  [[nodiscard]] const std::set<std::string>& reached() const { return reached_; }
  // Reached clusters to which every link that works loses much.
  [[nodiscard]] const std::set<std::string>& degraded() const { return degraded_; }
  // Handshakes succeed, and no data comes (gateway/peers/stuck.h).
  [[nodiscard]] bool stuck(const GatewayId& id) const { return stuck_.stuck(id); }
  // A sentence if two hosts use the key of this gateway (gateway/peers/rivals.h), otherwise empty.
  [[nodiscard]] std::string rival(const GatewayId& id) const;
  // A sentence if the gateway answers no handshake (gateway/peers/no_answer.h), otherwise empty.
  [[nodiscard]] std::string no_answer(const GatewayId& id) const;

 private:
  [[nodiscard]] std::map<GatewayId, bool> works() const;
  void judge();  // sets working_, reached_ and degraded_ from clusters_ and views_
  void adopt(const tunnel::DeviceStatus& device);
  void place(Placement next);
  void place_all();
  [[nodiscard]] tunnel::DeviceJobHooks job_hooks();
  void on_read(Result<tunnel::DeviceStatus> read);
  void on_applied(const Result<>& done);
  void on_moved(const tunnel::PeerMoves& moves, const Result<>& done);
  [[nodiscard]] Standings standings() const;
  void move();
  void move(const ClaimFlow::Claimed& claims);
  void carry_out(const Placement& before, const Placement& after);
  void await_claims();
  void pick_endpoints();
  void nudge();
  void free_stuck();
  void watch_rivals();
  void watch_answers();
  [[nodiscard]] tunnel::DeviceSpec spec() const;
  void note(const Result<>& done, const std::string& what);

  Loop& loop_;
  tunnel::Driver& driver_;
  Counter& moved_;
  TunnelsConfig config_;
  TunnelEvents on_;
  EndpointTrials trials_;
  StuckPeers stuck_;
  KeyRivals rivals_;
  std::set<GatewayId> rivals_told_;
  std::map<GatewayId, WallTime> first_tries_;
  std::set<GatewayId> no_answer_told_;
  Metrics& metrics_;
  std::map<std::string, RemoteCluster> clusters_;
  Views views_;
  std::set<GatewayId> working_;
  std::set<std::string> reached_;
  std::set<std::string> degraded_;
  ClaimFlow claims_;
  homing::DrainWords drain_words_;
  homing::MoveLog move_log_;
  Homes homes_;  // of clusters_
  Placement placement_;
  std::optional<Standings> placed_by_;        // the input of placement_; none: out of date
  std::uint64_t placements_ = 0;              // the number of placements so far
  std::map<Prefix, std::uint64_t> unplaced_;  // the placement since which the device lacks it
  std::uint64_t applying_ = 0;                // the placement of the running apply
  std::map<GatewayId, Endpoint> endpoints_;
  std::set<tunnel::Key> nudges_;  // peers whose handshake starts again now
  tunnel::DeviceStatus device_;
  bool adopted_ = false;  // the device of an earlier process was read
  bool tried_ = false;
  bool applied_ = false;
  std::string error_;
  Handle claim_timer_;
  tunnel::DeviceJobs jobs_;
};

}  // namespace cw::gateway
