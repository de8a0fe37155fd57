// The route agent of one node. It watches the cluster in the store, probes the gateways, and keeps
// the kernel in the state that follows (node/desired.h). A change of gateway replaces nexthop
// objects from memory, so no packet waits for the store. While the store is unreachable, the last
// state stays. If it is unreachable from the start, the kernel stays as it is; only the prefixes in
// the ledger's file are closed (closed/closed.h). Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/names.h"
#include "api/store/informer.h"
#include "api/store/switch_events.h"
#include "api/types/own_cluster.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "homing/choose.h"
#include "homing/handover.h"
#include "netlink/kernel.h"
#include "routeagent/closed/closed.h"
#include "routeagent/config.h"
#include "routeagent/forwarding_probes.h"
#include "routeagent/hop_device.h"
#include "routeagent/node/desired.h"
#include "routeagent/node/reconcile.h"
#include "routeagent/node_cards.h"
#include "routeagent/status.h"
#include "tunnel/probe/prober.h"

namespace cw::routeagent {

using homing::Choice;
using homing::ChoiceKey;
using homing::ChooseInput;
using homing::Chooser;
using homing::GatewayInput;
using homing::Handovers;
using homing::Silence;

// The Secret in Config::ns from which cw-vx gets its VNI and MACs (node/vtep.h).
using api::kOverlayEntry;
using api::kOverlaySecret;

// The thread for passes over the kernel, which may take long. Only that thread uses `kernel`.
struct SlowKernel {
  netlink::Kernel& kernel;
  Background background;
  ForwardMemory forwarding = {};
};

using tunnel::GatewayId;
// A gateway of this cluster, as a target of probes.
[[nodiscard]] GatewayId gateway_target(std::uint32_t ordinal);
// The sentence that processes on the host network reach no remote pod, with the remedy.
[[nodiscard]] std::string host_unserved(const std::string& prefixes);

class Agent {
 public:
  // Opens a Prober. The caller provides its sockets.
  using OpenProber = std::function<Result<std::unique_ptr<tunnel::Prober>>(tunnel::ProberConfig,
                                                                           tunnel::ProberHooks)>;

  // `node_key`: this node's private key. Gateways know the node by its public key.
  // `hop_background` runs the calls of the driver that `open_hop` opens.
  Agent(Loop& loop, Random& random, api::Store& store, netlink::Kernel& kernel, Metrics& metrics,
        const Config& config, const tunnel::Key& node_key, LedgerFile closed,
        OpenProber open_prober, ForwardingProbes::Open open_forwarding = {},
        std::optional<SlowKernel> slow = {}, HopDevice::Open open_hop = {},
        Background hop_background = no_background());
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // One sentence for each reason why the node is not ready; empty: it is ready.
  [[nodiscard]] std::vector<std::string> not_ready() const;
  // For each remote cluster: does a gateway that answers this node reach it? None: the probes mean
  // nothing yet.
  [[nodiscard]] std::optional<std::map<std::string, bool>> reach();
  // Called when reach() may have changed.
  void set_on_reach(std::function<void()> on_reach) { on_reach_ = std::move(on_reach); }

 private:
  struct AgentMetrics;  // metrics

  void look_again();  // a pass soon; a burst of calls becomes one pass
  void look_now();    // a pass in the loop's next turn
  void look();        // the pass; reads the host first if it may have changed
  void look_at_host();
  void take_cluster();
  void pass();
  void program();  // starts a pass over the kernel, from last_, in the background
  // Closes the prefixes that peers may claim, before any route is made (agent_closed.cc).
  void close_remotes(const HostFacts& host);
  // What the store says of this cluster. An error says what is still missing.
  [[nodiscard]] Result<NodeInputs> inputs() const;
  [[nodiscard]] std::optional<IpAddress> underlay_of(const std::string& node,
                                                     const IpAddress& otherwise) const;
  // The host's part of the inputs, as dumped from the kernel.
  struct HostView {
    std::vector<netlink::Link> links;
    std::vector<netlink::Address> addresses;
    netlink::Connected connected;
  };
  [[nodiscard]] static Result<HostView> host_of(netlink::Kernel& kernel);
  [[nodiscard]] Result<> read_host(NodeInputs& inputs);
  void keep_overlay_key(const NodeInputs& inputs);
  void watch_cards();
  // Adds what the other nodes publish. An error: the store has not answered yet.
  [[nodiscard]] Result<> read_cards(NodeInputs& inputs);
  void note_left_out(const std::vector<LeftOut>& nodes);
  void keep_probing(const NodeInputs& inputs);
  [[nodiscard]] tunnel::ProberHooks prober_hooks();
  void judge(NodeInputs& inputs);  // chooses gateways, once the probes mean something
  [[nodiscard]] bool probes_mean_something();
  [[nodiscard]] std::vector<GatewayInput> gateway_inputs(const NodeInputs& inputs);
  void on_probe();  // the fast path: a verdict of the probes changed
  void on_reply(std::uint32_t ordinal, const tunnel::Probe& reply);
  // agent_troubles.cc:
  void watch_silence(const ChooseInput& input);
  void watch_stray(NodeInputs& inputs);
  void tell_host_source(const NodeInputs& inputs);
  void spread();  // probes the gateways that must hear a new claim, and watches handovers
  void note(const netlink::PassReport& report, const std::vector<std::string>& problems);
  void publish(const NodeInputs& inputs);

  Loop& loop_;
  netlink::Kernel& slow_kernel_;  // for jobs in background_
  Config config_;
  tunnel::Key node_key_;
  OpenProber open_prober_;
  tunnel::Refusals refused_;
  std::shared_ptr<AgentMetrics> metrics_;

  Chooser chooser_;
  Handovers mover_;
  ForwardingProbes forwarding_;
  HopDevice hop_;
  Background background_;
  std::shared_ptr<NodeReconciler> reconciler_;  // a pass may outlive the agent by a moment
  std::optional<Result<HostView>> host_;        // as last read
  bool host_dirty_ = true;                      // it may have changed since
  bool reading_host_ = false;                   // a job reads it
  bool programming_ = false;                    // a pass runs
  bool program_again_ = false;                  // the state of that pass is old
  bool programmed_ = false;                     // a pass has ended
  StatusWriter status_;
  api::SwitchEvents switches_;
  std::optional<NodeInputs> last_;         // inputs of the last pass, for the fast path
  bool decided_ = false;                   // the probes have meant something once
  std::optional<OverlayKey> overlay_key_;  // the last good one
  std::string overlay_trouble_;
  OverlaySide side_;               // what this node publishes
  std::vector<LeftOut> left_out_;  // as of the last pass
  std::string waiting_ = "starting";
  std::string probe_trouble_;
  std::vector<std::string> errors_;
  std::map<ChoiceKey, TimePoint> silent_since_;  // since when no gateway forwards
  std::vector<Silence> unforwarded_;             // those that last long enough to be reported
  std::optional<TimePoint> stray_since_;         // since when a moved gateway's device is here
  std::string hostless_;                         // own prefixes without an address of the host
  std::vector<api::Condition> conditions_;
  std::map<ChoiceKey, std::uint32_t> path_mtu_;
  std::uint32_t routes_ = 0;
  TimePoint last_pass_{};
  Backoff retry_{std::chrono::seconds(1), std::chrono::seconds(30)};
  Random& random_;
  std::function<void()> on_reach_;

  std::unique_ptr<tunnel::Prober> prober_;
  std::uint32_t prober_link_ = 0;
  TimePoint probing_since_{};

  Handle pass_timer_;
  Handle retry_timer_;
  Handle hold_timer_;
  Handle silence_timer_;
  Handle stray_timer_;
  Handle warm_timer_;
  Handle handover_timer_;
  Handle resync_timer_;
  Closed closed_;
  Handle kernel_events_;
  api::OwnCluster own_cluster_;
  api::Informer<api::ClusterProperty> properties_;
  api::Informer<api::Node> nodes_;
  api::Informer<api::TunnelGateway> gateways_;
  api::Informer<api::ClusterPeer> peers_;
  api::Informer<api::Secret> secrets_;
  NodeCards cards_;
};

}  // namespace cw::routeagent
