// Watches the peers of the device. It chooses the endpoint of each, makes peers again that are
// stuck, and reports keys that two hosts use and gateways that do not answer. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "gateway/peers/endpoint_trials.h"
#include "gateway/peers/rivals.h"
#include "gateway/peers/roster.h"
#include "gateway/peers/stuck.h"
#include "homing/place.h"
#include "homing/verdicts.h"
#include "tunnel/device_jobs.h"

namespace cw::gateway {

using homing::Move;
using homing::Verdicts;

// Events for people. Empty hooks are skipped. No hook may call Tunnels.
struct TunnelEvents {
  std::function<void(const std::vector<Move>&)> moved;
  std::function<void(const GatewayId&, Remedy)> stuck;
  std::function<void()> changed = {};  // tried(), applied() or error() of Tunnels changed
  std::function<void(const GatewayId&, const std::string& sentence)> rival = {};
};

class PeerWatch {
 public:
  struct Sight {
    const std::map<std::string, RemoteCluster>& clusters;
    const Verdicts& verdicts;
    const tunnel::DeviceStatus& device;  // as last read
  };
  // `own`: our public key. Repairs go to `jobs`.
  PeerWatch(Loop& loop, Metrics& metrics, const tunnel::Key& own, Duration keepalive, Sight sight,
            const TunnelEvents& on, tunnel::DeviceJobs& jobs);

  void set_gateways(const std::set<GatewayId>& ids);  // others are forgotten
  // Chooses the endpoints. True: one changed.
  bool choose_endpoints();
  [[nodiscard]] const std::map<GatewayId, Endpoint>& endpoints() const { return endpoints_; }
  // Reports and repairs. Call it after each reading of the device and choose_endpoints().
  void reconcile();

  [[nodiscard]] bool stuck(const GatewayId& id) const { return stuck_.stuck(id); }
  [[nodiscard]] std::string rival(const GatewayId& id) const;
  [[nodiscard]] std::string no_answer(const GatewayId& id) const;

 private:
  struct Peer {
    WallTime first_try{};
    bool rival_told = false;
    bool no_answer_told = false;
  };
  void nudge();
  void report_rivals();
  void report_no_answers();
  void free_stuck();

  Loop& loop_;
  Metrics& metrics_;
  tunnel::Key own_;
  Sight sight_;
  const TunnelEvents& on_;
  tunnel::DeviceJobs& jobs_;
  EndpointTrials trials_;
  StuckPeers stuck_;
  KeyRivals rivals_;
  std::map<GatewayId, Peer> peers_;
  std::map<GatewayId, Endpoint> endpoints_;
  std::set<tunnel::Key> nudges_;  // peers whose handshake starts again now
};

}  // namespace cw::gateway
