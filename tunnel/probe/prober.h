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
  Duration rtt{};
  Duration jitter{};
  double loss = 0;
  bool draining = false;               // from the last reply
  std::vector<ProbeCluster> clusters;  // from the last reply
  friend bool operator==(const ProbeView&, const ProbeView&) = default;
};

class Prober {
 public:
  // What to say of ourselves in replies: fills draining and clusters.
  using Answer = std::function<void(Probe& reply)>;
  // A target's usable, draining or clusters changed.
  using OnChange = std::function<void(const std::string& target)>;

  // kUnavailable if the address or port is taken or the device is not there yet.
  [[nodiscard]] static Result<std::unique_ptr<Prober>> open(Loop& loop, Random& random,
                                                            ProberConfig config, Answer answer,
                                                            OnChange on_change);
  virtual ~Prober() = default;
  // The whole wanted set; unchanged targets keep their state.
  virtual void set_targets(const std::map<std::string, Endpoint>& targets) = 0;
  [[nodiscard]] virtual std::map<std::string, ProbeView> views() = 0;
};

}  // namespace cw::tunnel
