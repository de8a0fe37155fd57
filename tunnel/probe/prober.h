// Sends probes to a set of targets from one UDP socket, answers other probers' requests on the same
// socket, and keeps a Detector per target. Used by the route agent (towards its gateways, over
// cw-vx link-local) and by the gateway (towards remote gateways inside the tunnel; and, answering
// only, towards its nodes). Every datagram is authenticated with the key of the two parties; a
// datagram that is not gets no answer and changes nothing. Loop thread only.
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
#include "tunnel/probe/refusals.h"

namespace cw::tunnel {

struct ProberConfig {
  DetectorConfig detector;
  Endpoint local;      // address may be unspecified; the port is fixed
  std::string device;  // SO_BINDTODEVICE; empty: none
  Key private_key;     // ours
  std::string name;    // ours: part of our party id (packet.h)
  std::uint32_t sender = 0xffffffff;
};

struct ProbeTarget {
  Endpoint to;
  Key key;  // its public one
  friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

// Who made a request, as the tag proves.
struct ProbeAsker {
  const std::string& name;  // as set_askers() called it
  bool fresh = false;       // its newest word; else its claims must not be taken (freshness.h)
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
  // Why no reply counts, if something came that says so: "speaks probe version 2; we speak 3".
  std::string trouble;
  friend bool operator==(const ProbeView&, const ProbeView&) = default;
};

// What its owner adds to and takes from probes. All are called in the prober's own turn: none may
// destroy it. Absent ones do nothing.
struct ProberHooks {
  // What to say of ourselves in a reply: fills draining, clusters and claims.
  std::function<void(const Probe& request, const ProbeAsker& asker, Probe& reply)> answer;
  // A target's state, answering, draining, clusters or trouble changed.
  std::function<void(const std::string& target)> on_change;
  // Fills the claims of a request.
  std::function<void(const std::string& target, Probe& request)> ask;
  // A reply of this target that answers one of our requests.
  std::function<void(const std::string& target, const Probe& reply)> on_reply;
  // The target does not know our session, so it has taken none of our claims: it restarted, or we
  // did.
  std::function<void(const std::string& target)> on_stranger;
  // A datagram that is no authentic probe.
  std::function<void(Refusal refusal, const IpAddress& from, const std::string& words)> on_refused;
};

class Prober {
 public:
  // kUnavailable if the address or port is taken or the device is not there yet.
  [[nodiscard]] static Result<std::unique_ptr<Prober>> open(Loop& loop, Random& random,
                                                            ProberConfig config, ProberHooks hooks);
  virtual ~Prober() = default;
  // The whole wanted set; unchanged targets keep their state.
  virtual void set_targets(const std::map<std::string, ProbeTarget>& targets) = 0;
  // The parties that are answered: public keys by name, the whole set. No other party is.
  virtual void set_askers(const std::map<std::string, Key>&) {}
  // From now on; targets keep their state.
  virtual void set_interval(Duration) {}
  // One more request now, beside the regular ones: there is news for the target.
  virtual void ask_now(const std::string& target) = 0;
  [[nodiscard]] virtual std::map<std::string, ProbeView> views() = 0;
};

}  // namespace cw::tunnel
