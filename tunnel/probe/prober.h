// Sends probes to a set of targets from one UDP socket, answers other probers' requests on the same
// socket, and keeps a Detector per target. Used by the route agent (towards its gateways, over
// cw-vx link-local) and by the gateway (towards remote gateways inside the tunnel; and, answering
// only, towards its nodes). Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/prefix.h"
#include "base/random.h"
#include "tunnel/probe/detector.h"
#include "tunnel/probe/packet.h"

namespace cw::tunnel {

struct ProberConfig {
  DetectorConfig detector;
  Endpoint local;      // address may be unspecified; the port is fixed
  std::string device;  // SO_BINDTODEVICE; empty: none
  std::optional<ProbeKey> key;
  std::uint32_t sender = 0xffffffff;
};

struct ProbeView {
  LinkState state = LinkState::kConnecting;
  bool usable = false;
  bool answering = false;  // replies come; usable, or on its way to be (Detector::answering)
  Duration rtt{};
  Duration jitter{};
  double loss = 0;
  bool draining = false;               // from the last reply
  std::vector<ProbeCluster> clusters;  // from the last reply
  friend bool operator==(const ProbeView&, const ProbeView&) = default;
};

// What its owner adds to and takes from probes. All are called in the prober's own turn: none may
// destroy it. Absent ones do nothing.
struct ProberHooks {
  // What to say of ourselves in a reply: fills draining, clusters and claims.
  std::function<void(const Probe& request, const IpAddress& from, Probe& reply)> answer;
  // A target's state, answering, draining or clusters changed.
  std::function<void(const std::string& target)> on_change;
  // Fills the claims of a request.
  std::function<void(const std::string& target, Probe& request)> ask;
  // A reply of this target that answers one of our requests.
  std::function<void(const std::string& target, const Probe& reply)> on_reply;
};

class Prober {
 public:
  // kUnavailable if the address or port is taken or the device is not there yet.
  [[nodiscard]] static Result<std::unique_ptr<Prober>> open(Loop& loop, Random& random,
                                                            ProberConfig config, ProberHooks hooks);
  virtual ~Prober() = default;
  // The whole wanted set; unchanged targets keep their state.
  virtual void set_targets(const std::map<std::string, Endpoint>& targets) = 0;
  // From now on; targets keep their state.
  virtual void set_interval(Duration) {}
  // One more request now, beside the regular ones: there is news for the target.
  virtual void ask_now(const std::string& target) = 0;
  [[nodiscard]] virtual std::map<std::string, ProbeView> views() = 0;
};

}  // namespace cw::tunnel
