// Sends probes to a set of targets from one UDP socket, answers other probers' requests on the same
// socket, and keeps a Detector per target. Targets are gateways. The route agent uses it towards
// its gateways (link-local addresses of cw-vx). The gateway uses it towards remote gateways (inside
// the tunnel), and towards its nodes, where it only answers. The key of the two parties
// authenticates every datagram. A datagram without a valid tag changes only words for people, and
// gets at most a version notice. Loop thread only.
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
#include "tunnel/probe/party.h"
#include "tunnel/probe/refusals.h"

namespace cw::tunnel {

struct ProberConfig {
  DetectorConfig detector;
  Endpoint local;      // address may be unspecified; the port is fixed
  std::string device;  // SO_BINDTODEVICE; empty: none
  Key private_key;     // ours
  ProbeParty self;     // part of our party id (packet.h)
  std::uint32_t sender = 0xffffffff;
};

struct ProbeTarget {
  Endpoint to;
  Key key;  // its public key
  friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

// The party that made a request, as its tag proves.
struct ProbeAsker {
  const ProbeParty& party;  // as in set_askers()
  bool fresh = false;       // the newest request; else its claims must not be taken (freshness.h)
};

struct ProbeView {
  LinkState state = LinkState::kConnecting;
  bool usable = false;
  Duration rtt{};
  Duration jitter{};
  double loss = 0;
  bool draining = false;               // from the last reply
  std::vector<ProbeCluster> clusters;  // from the last reply
  // Why no reply counts, if a datagram gave a reason: "speaks probe version 2; this side speaks 3".
  std::string trouble;
  friend bool operator==(const ProbeView&, const ProbeView&) = default;
};

using ProbeViews = std::map<GatewayId, ProbeView>;

// Hooks by which the owner adds to probes and reads them. The prober calls them in its own turn, so
// none may destroy it. Empty hooks are skipped.
struct ProberHooks {
  // Fills draining, clusters and claims of a reply.
  std::function<void(const Probe& request, const ProbeAsker& asker, Probe& reply)> answer;
  // The state, draining, clusters or trouble of a target changed.
  std::function<void(const GatewayId& target)> on_change;
  // Fills the claims of a request.
  std::function<void(const GatewayId& target, Probe& request)> ask;
  // This target answered one of our requests.
  std::function<void(const GatewayId& target, const Probe& reply)> on_reply;
  // The target does not know our session, so it has taken none of our claims. It restarted, or we
  // did.
  std::function<void(const GatewayId& target)> on_stranger;
  // A datagram that is not an authentic probe.
  std::function<void(Refusal refusal, const IpAddress& from, const std::string& words)> on_refused;
};

class Prober {
 public:
  // kUnavailable if the address or port is taken or the device is not there yet.
  [[nodiscard]] static Result<std::unique_ptr<Prober>> open(Loop& loop, Random& random,
                                                            ProberConfig config, ProberHooks hooks);
  virtual ~Prober() = default;
  // Sets the whole wanted set. Unchanged targets keep their state.
  virtual void set_targets(const std::map<GatewayId, ProbeTarget>& targets) = 0;
  // Sets the parties that get answers, and their public keys: the whole set. No other party gets
  // one.
  virtual void set_askers(const std::map<ProbeParty, Key>&) {}
  // Takes effect now. Targets keep their state.
  virtual void set_interval(Duration) {}
  // Sends one more request now, beside the regular ones: there is news for the target.
  virtual void ask_now(const GatewayId& target) = 0;
  [[nodiscard]] virtual ProbeViews views() = 0;
};

}  // namespace cw::tunnel
