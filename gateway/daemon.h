// The gateway itself. It turns what the store, the probes and the kernel report into tunnels,
// kernel state, the feed and the TunnelGateway object. An event only says "look again"; a pass
// looks at everything. Probe results reach the tunnels at once, from memory. A gateway that has
// started never waits for the store: while the store is away, the last known state holds. Loop
// thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/store/switch_events.h"
#include "api/types/own_cluster.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/cluster_view.h"
#include "gateway/config.h"
#include "gateway/feed_side.h"
#include "gateway/path/state.h"
#include "gateway/probes.h"
#include "gateway/secret_entry.h"
#include "gateway/status.h"
#include "gateway/tunnels.h"
#include "netlink/reconcile.h"

namespace cw::gateway {

// The seams to the outside.
struct Deps {
  Loop& loop;
  Random& random;
  api::Store& store;
  netlink::Kernel& kernel;
  tunnel::Driver& driver;
  Metrics& metrics;
  Probes::Open open_prober;
  Probes::OpenEcho open_echo = {};
  bool make_secrets = true;  // if missing; false: an installer makes them
  // Runs kernel passes, which may take long. That thread has a Kernel of its own.
  Background background = no_background();
  netlink::Kernel* slow_kernel = nullptr;  // none: `kernel`
  // Runs calls of `driver` that may wait. It is another thread than `background`'s, so that a
  // kernel pass never delays a move.
  Background tunnel_background = no_background();
};

class Daemon {
 public:
  // `file_key`: the key of privateKeyFile, if it is configured.
  Daemon(const Deps& deps, const Config& config, std::optional<tunnel::Key> file_key);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Why the gateway is not ready. Empty: it is ready. Unreachable remote clusters are no reason.
  [[nodiscard]] std::vector<std::string> not_ready() const;

  // Announces the stop everywhere, and calls `done` when nodes and remote gateways have had time to
  // move. If another local gateway can take over, that is after one to five times
  // Config::drain, otherwise after 200 ms. The data path stays.
  void drain(std::function<void()> done);

 private:
  struct Identified;  // exists once our cluster id and key are known
  struct HostView {
    std::vector<netlink::Link> links;
    std::vector<netlink::Address> addresses;
    friend bool operator==(const HostView&, const HostView&) = default;
  };

  void look_again();
  void pass();
  [[nodiscard]] Result<tunnel::Key> own_key();
  [[nodiscard]] Result<> identify();
  [[nodiscard]] tunnel::ProberHooks tunnel_hooks();
  [[nodiscard]] tunnel::ProberHooks node_hooks();
  [[nodiscard]] TunnelEvents tell();  // hooks that write Events on our TunnelGateway object
  [[nodiscard]] std::optional<api::ObjectMeta> stored_meta() const;
  void answer(tunnel::Probe& reply) const;
  void answer_gateway(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                      tunnel::Probe& reply);
  void answer_node(const tunnel::Probe& request, const tunnel::ProbeAsker& asker,
                   tunnel::Probe& reply);
  void tell_remotes();
  void watch_drain();
  [[nodiscard]] bool drains() const;  // the process stops, or causewayctl drain asked for it
  void on_probe();
  void tick();
  [[nodiscard]] bool settled();
  void keep_path();
  [[nodiscard]] static std::optional<HostView> host_of(netlink::Kernel& kernel);
  void note_path(netlink::PassReport report, const std::optional<HostView>& host);
  void keep_probes();
  void keep_feed();
  void keep_object(bool urgent);
  void set_metrics();
  [[nodiscard]] Roster roster() const;
  [[nodiscard]] GatewayStatement self_statement() const;
  [[nodiscard]] api::TunnelGateway wanted_object() const;
  [[nodiscard]] std::vector<Endpoint> endpoints() const;
  [[nodiscard]] bool others_can_take_over() const;

  Deps deps_;
  Config config_;
  std::optional<tunnel::Key> file_key_;
  std::string waiting_ = "starting";
  api::OwnCluster own_cluster_;
  bool draining_ = false;
  TimePoint identified_since_{};
  bool settled_ = false;
  bool kernel_dirty_ = true;
  std::optional<PathInput> path_;
  std::vector<std::string> path_errors_;
  HostView host_;  // after the last kernel pass
  std::string feed_trouble_;
  std::set<MetricLabels> shown_;

  tunnel::Refusals refused_in_tunnel_;
  tunnel::Refusals refused_of_nodes_;
  std::shared_ptr<netlink::Reconciler> reconciler_;  // a pass may outlive the Daemon by a moment
  bool programming_ = false;                         // a kernel pass runs
  bool programmed_ = false;                          // a kernel pass has ended
  std::string overlay_seen_;                         // the overlay's key as last read
  SecretEntry private_key_;
  SecretEntry overlay_secret_;
  GatewayWriter writer_;
  api::EventRecorder events_;
  api::SwitchEvents switches_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for the metrics' callback

  Debounce look_;
  Debounce kernel_look_;
  Handle at_once_;
  std::optional<TimePoint> last_at_once_;
  Handle tick_timer_;
  Handle resync_timer_;
  std::function<void()> drained_;
  TimePoint drain_ends_{};
  Handle drain_timer_;
  Handle kernel_events_;
  std::unique_ptr<ClusterView> view_;
  std::unique_ptr<Identified> identified_;
};

}  // namespace cw::gateway
