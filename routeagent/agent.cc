#include "routeagent/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "netlink/owner.h"
#include "routeagent/agent_metrics.h"
#include "routeagent/node/remote.h"
#include "routeagent/node/vtep.h"
#include "routeagent/switches.h"

namespace cw::routeagent {

namespace {

// One change causes several events of the store or the kernel: they become one pass.
constexpr Duration kDebounce = std::chrono::milliseconds(20);
// Each pod that starts or stops changes links and addresses of the host: at most five passes per
// second follow.
constexpr Duration kBetweenPasses = std::chrono::milliseconds(200);

// How often the old carrier is probed during a handover. Packets are held until it confirms.
constexpr Duration kHandoverPace = std::chrono::milliseconds(10);

// Routes of probes name a device, and are not counted.
std::uint32_t routes_to_remotes(const NodeState& state) {
  return static_cast<std::uint32_t>(
      std::count_if(state.routes.begin(), state.routes.end(), [](const auto& entry) {
        return entry.first.first == netlink::kToRemoteTable && entry.second.link.empty();
      }));
}

// What this node publishes.
api::RouteAgent::Spec published(const Config& config, const tunnel::Key& node_key) {
  const bool encrypted = config.overlay == OverlayMode::kWireguard;
  return {config.node, node_key.public_key().base64(),
          api::RouteAgent::Overlay{to_string(kOverlayVersion), to_string(config.overlay),
                                   encrypted ? config.hop_port : std::uint16_t{0}}};
}

}  // namespace

GatewayId gateway_target(std::uint32_t ordinal) { return {{}, ordinal}; }

Agent::Agent(Loop& loop, Random& random, api::Store& store, netlink::Kernel& kernel,
             Metrics& metrics, const Config& config, const tunnel::Key& node_key, LedgerFile closed,
             OpenProber open_prober, ForwardingProbes::Open open_forwarding,
             std::optional<SlowKernel> slow, HopDevice::Open open_hop, Background hop_background)
    : loop_(loop),
      slow_kernel_(slow ? slow->kernel : kernel),
      config_(config),
      node_key_(node_key),
      open_prober_(std::move(open_prober)),
      refused_(loop, metrics, "gateways"),
      metrics_(std::make_shared<AgentMetrics>(metrics)),
      chooser_(config.hold_down),
      forwarding_(std::move(open_forwarding), metrics, [this] { on_probe(); }),
      hop_(loop, config.overlay == OverlayMode::kWireguard ? std::move(open_hop) : nullptr,
           node_key, config.hop_port, std::move(hop_background),
           [this] {
             host_dirty_ = true;
             look_now();
           }),
      background_(slow ? slow->background : no_background()),
      reconciler_(
          std::make_shared<NodeReconciler>(kernel, slow ? slow->kernel : kernel, background_.ask,
                                           slow ? std::move(slow->forwarding) : ForwardMemory{})),
      status_(loop, store, random, published(config, node_key)),
      switches_(loop, store, random, {api::kAgentWriter, config.node}, api::Kind::kRouteAgent,
                [this] { return status_.stored(); }),
      side_(*card_of(published(config, node_key)).overlay),
      random_(random),
      resync_timer_(loop.every(config.resync,
                               [this] {
                                 host_dirty_ = true;
                                 closed_.look_again();
                                 look_again();
                               })),
      closed_(
          loop, random, slow ? slow->kernel : kernel, background_, metrics, std::move(closed),
          [this] { look_again(); }, config.rules),
      kernel_events_(kernel.on_change([this] {
        host_dirty_ = true;
        closed_.look_again();
        look_again();
      })),
      properties_(loop, store, random, [this] { look_again(); }),
      nodes_(loop, store, random, [this] { look_again(); }),
      gateways_(loop, store, random,
                [this] {
                  watch_cards();
                  look_again();
                }),
      peers_(loop, store, random, [this] { look_again(); }),
      secrets_(
          loop, store, random, [this] { look_again(); }, config.ns, std::string(kOverlaySecret)),
      cards_(loop, store, random, [this] { look_again(); }) {}

void Agent::look_again() {
  if (pass_timer_.active()) return;
  const auto earliest = last_pass_ + kBetweenPasses - loop_.now();
  pass_timer_ = loop_.after(std::max<Duration>(kDebounce, earliest), [this] {
    pass_timer_.reset();
    look();
  });
}

void Agent::look_now() {
  pass_timer_ = loop_.after(Duration::zero(), [this] {
    pass_timer_.reset();
    look();
  });
}

std::optional<IpAddress> Agent::underlay_of(const std::string& node,
                                            const IpAddress& otherwise) const {
  const auto found = nodes_.find({"", node});
  if (found != nullptr && !found->internal_ips.empty()) return found->internal_ips.front();
  if (otherwise.is_unspecified()) return std::nullopt;
  return otherwise;
}

Result<NodeInputs> Agent::inputs() const {
  const auto away = [](const auto& informer) {
    return fail(Errc::kUnavailable,
                fmt::format("waiting for the store{}{}", informer.last_error().empty() ? "" : ": ",
                            informer.last_error()));
  };
  if (!properties_.synced()) return away(properties_);
  if (!nodes_.synced()) return away(nodes_);
  if (!gateways_.synced()) return away(gateways_);
  if (!peers_.synced()) return away(peers_);
  if (!secrets_.synced()) return away(secrets_);
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  if (id == nullptr || id->value.empty()) {
    return fail(Errc::kNotFound, fmt::format("waiting for ClusterProperty {}: it names the cluster",
                                             api::kClusterIdProperty));
  }
  NodeInputs in;
  in.forward_ours_only = config_.forward_ours_only;
  in.side = side_;
  if (config_.overlay == OverlayMode::kWireguard) in.hop = node_key_.public_key();
  in.rules = config_.rules;
  for (const auto& [key, node] : nodes_.items()) {
    if (node->internal_ips.empty()) {
      if (key.name != config_.node) continue;
      return fail(Errc::kNotFound, fmt::format("waiting for an InternalIP of Node {}", key.name));
    }
    NodeView view{key.name, node->internal_ips.front(), node->pod_cidrs};
    if (key.name == config_.node) {
      in.self = std::move(view);
    } else {
      in.others.push_back(std::move(view));
    }
  }
  if (in.self.name.empty()) {
    return fail(Errc::kNotFound, fmt::format("waiting for Node {}", config_.node));
  }
  for (const auto& [key, gateway] : gateways_.items()) {
    const auto& spec = gateway->spec;
    if (const auto ip = underlay_of(spec.node, spec.node_ip)) {
      const auto public_key = tunnel::Key::from_base64(spec.public_key);
      in.gateways.push_back(
          {spec.ordinal, spec.node, *ip, public_key ? std::optional(*public_key) : std::nullopt});
    }
  }
  for (const auto& [key, peer] : peers_.items()) {
    if (peer->spec.cluster_id == id->value || peer->spec.unpaired) continue;
    in.remotes.push_back(remote_cluster(*peer));
  }
  return in;
}

tunnel::ProberHooks Agent::prober_hooks() {
  tunnel::ProberHooks hooks;
  hooks.on_change = [this](const GatewayId&) { on_probe(); };
  hooks.ask = [this](const GatewayId& target, tunnel::Probe& request) {
    mover_.fill(target.ordinal, request);
  };
  hooks.on_reply = [this](const GatewayId& target, const tunnel::Probe& reply) {
    on_reply(target.ordinal, reply);
  };
  hooks.on_stranger = [this](const GatewayId& target) { mover_.forget(target.ordinal); };
  hooks.on_refused = [this](tunnel::Refusal refusal, const IpAddress& from,
                            const std::string& words) { refused_.add(refusal, from, words); };
  return hooks;
}

void Agent::keep_probing(const NodeInputs& inputs) {
  probe_trouble_.clear();
  if (!inputs.overlay) return;
  if (inputs.host.vxlan_index != prober_link_) {
    prober_.reset();  // its socket is bound to a device that is gone
    prober_link_ = 0;
  }
  if (inputs.host.vxlan_index == 0) return;  // a pass makes it; its event starts the next pass
  forwarding_.keep(inputs);

  const auto interval = tunnel::shared_interval(config_.probe_interval, inputs.others.size() + 1);
  if (prober_ == nullptr) {
    tunnel::ProberConfig config;
    config.detector.interval = interval;
    config.detector.lost = config_.probe_lost;
    config.local = {IpAddress::v6({}), netlink::kNodeAskPort};
    config.device = netlink::kVxlanLink;
    config.private_key = node_key_;
    config.self = tunnel::NodeName{config_.node};
    auto opened = open_prober_(std::move(config), prober_hooks());
    if (!opened) {
      probe_trouble_ = opened.error().context("probe").text;
      return;
    }
    prober_ = std::move(*opened);
    prober_link_ = inputs.host.vxlan_index;
    probing_since_ = loop_.now();
  }
  prober_->set_interval(interval);
  std::map<GatewayId, tunnel::ProbeTarget> targets;
  for (const auto& gateway : inputs.gateways) {
    if (!gateway.key || left_out(inputs, gateway)) continue;
    targets[gateway_target(gateway.ordinal)] = {
        {vtep_address(*inputs.overlay, gateway.node_ip), netlink::kNodeProbePort}, *gateway.key};
  }
  prober_->set_targets(targets);
}

bool Agent::probes_mean_something() {
  if (last_ && last_->gateways.empty()) return true;
  if (prober_ == nullptr) return false;
  const auto warm = config_.probe_interval * (2 * config_.probe_lost + 4);
  const auto left = probing_since_ + warm - loop_.now();
  if (left <= Duration::zero()) return true;
  const auto views = prober_->views();
  const bool all_known =
      !views.empty() && std::none_of(views.begin(), views.end(), [](const auto& entry) {
        return entry.second.state == tunnel::LinkState::kConnecting;
      });
  if (!all_known && !warm_timer_.active()) {
    warm_timer_ = loop_.after(left, [this] {
      warm_timer_.reset();
      on_probe();
    });
  }
  return all_known;
}

std::vector<GatewayInput> Agent::gateway_inputs(const NodeInputs& inputs) {
  const auto views = prober_ == nullptr ? tunnel::ProbeViews{} : prober_->views();
  std::vector<GatewayInput> result;
  std::set<std::uint32_t> ordinals;
  for (const auto& gateway : inputs.gateways) {
    GatewayInput input;
    input.ordinal = gateway.ordinal;
    ordinals.insert(gateway.ordinal);
    if (const auto view = views.find(gateway_target(gateway.ordinal)); view != views.end()) {
      input.usable = view->second.usable;
      input.draining = view->second.draining;
      for (const auto& cluster : view->second.clusters) {
        if (!cluster.reachable) continue;
        input.reaches.insert(cluster.id);
        // Loss between the gateway and the cluster, or between this node and the gateway.
        if (cluster.degraded || view->second.state == tunnel::LinkState::kDegraded) {
          input.lossy_to.insert(cluster.id);
        }
      }
      if (view->second.state == tunnel::LinkState::kConnecting) {
        input.trouble = "has not answered yet";
      }
      if (!view->second.trouble.empty()) input.trouble = view->second.trouble;
      metrics_->gateway(gateway.ordinal, view->second);
    }
    if (gateway.node == inputs.self.name) {
      input.here = true;
      input.own_prefixes = inputs.self.pod_cidrs;
      if (input.usable && !inputs.host.tunnel_up) {
        input.usable = false;
        input.trouble = "has no tunnel device";
      }
    }
    if (const auto why = left_out(inputs, gateway)) {
      input.trouble =
          fmt::format("is on a node that is left out ({} there, {} here)", why->theirs, why->ours);
    }
    forwarding_.add_to(input);
    for (const auto& node : inputs.others) {
      if (node.name == gateway.node) input.own_prefixes = node.pod_cidrs;
    }
    result.push_back(std::move(input));
  }
  metrics_->keep_only(ordinals);
  return result;
}

void Agent::judge(NodeInputs& inputs) {
  if (probes_mean_something()) {
    ChooseInput input;
    input.cluster = own_cluster_.id();
    input.homed = homed_prefixes(inputs.self);
    for (const auto& remote : inputs.remotes) input.remotes.insert(remote.id);
    input.gateways = gateway_inputs(inputs);
    const auto before = chooser_.choices();
    const auto now = loop_.now();
    for (const auto& [key, choice] : chooser_.update(input, now, loop_.wall_now())) {
      const auto old = before.find(key);
      if (old != before.end() && old->second.ordinal == choice.ordinal) continue;
      if (old != before.end()) metrics_->switches.add();
      log_info("gateway chosen",
               {{"cluster", key.cluster},
                {"family", key.family == Family::kV4 ? "IPv4" : "IPv6"},
                {"gateway", choice.ordinal ? std::to_string(*choice.ordinal) : "none"},
                {"reason", choice.reason}});
    }
    for (const auto& note : switch_notes(before, chooser_.choices(), input.gateways)) {
      switches_.add(note);
    }
    watch_silence(input);
    std::map<Family, std::vector<Prefix>> prefixes;
    for (const auto& prefix : inputs.self.pod_cidrs) prefixes[prefix.family()].push_back(prefix);
    std::optional<std::uint32_t> self;
    for (const auto& gateway : inputs.gateways) {
      if (gateway.node == inputs.self.name) self = gateway.ordinal;
    }
    mover_.want({chooser_.choices(), input, prefixes, self}, now);
    decided_ = true;
    if (const auto end = chooser_.next_end(now)) {
      hold_timer_ = loop_.after(*end - now, [this] { on_probe(); });
    }
  }
  inputs.decided = decided_;
  mover_.tick(loop_.now());  // in any case: no packet is held for longer than the patience
  inputs.choices = chooser_.choices();
  inputs.held = mover_.held();
  auto path_mtu = forwarding_.path_mtu();
  if (path_mtu != path_mtu_) {
    for (const auto& [key, mtu] : path_mtu) {
      log_warn("packets above the path MTU are lost on the way: their routes get this MTU",
               {{"cluster", key.cluster},
                {"family", key.family == Family::kV4 ? "IPv4" : "IPv6"},
                {"path_mtu", mtu}});
    }
    if (path_mtu.empty()) log_info("packets of full size pass again");
    path_mtu_ = std::move(path_mtu);
  }
  inputs.path_mtu = path_mtu_;
}

void Agent::on_reply(std::uint32_t ordinal, const tunnel::Probe& reply) {
  const bool held = !mover_.held().empty();
  mover_.hear(ordinal, reply, loop_.now());
  if (held) return on_probe();
  spread();
}

void Agent::spread() {
  for (const auto ordinal : mover_.take_urgent()) {
    if (prober_ != nullptr) prober_->ask_now(gateway_target(ordinal));
  }
  if (mover_.held().empty()) {
    handover_timer_.reset();
  } else if (!handover_timer_.active()) {
    handover_timer_ = loop_.every(kHandoverPace, [this] {
      const auto unconfirmed = mover_.unconfirmed();
      mover_.tick(loop_.now());
      if (mover_.unconfirmed() != unconfirmed) {
        log_warn("handover ended without confirmation: packets may be lost for a moment",
                 {{"count", mover_.unconfirmed() - unconfirmed}});
        metrics_->unconfirmed.add(static_cast<double>(mover_.unconfirmed() - unconfirmed));
      }
      if (last_ && mover_.held() != last_->held) return on_probe();
      if (prober_ == nullptr) return;
      for (const auto from : mover_.handed_over_from()) prober_->ask_now(gateway_target(from));
    });
  }
}

void Agent::on_probe() {
  if (!last_) return look_again();
  if (on_reach_) on_reach_();
  const auto before = last_->choices;
  const auto held_before = last_->held;
  const auto mtu_before = last_->path_mtu;
  const bool was_decided = last_->decided;
  judge(*last_);
  if (last_->path_mtu != mtu_before) look_again();
  if (last_->choices == before && last_->held == held_before && last_->decided == was_decided) {
    spread();
    return publish(*last_);
  }
  if (was_decided) {
    const auto report = reconciler_->change_nexthops(desired_nexthops(*last_));
    metrics_->steps.add(static_cast<double>(report.steps));
  }
  spread();  // after the switch: packets are held before the old carrier hears of it
  // A pass does the rest: routes that become unreachable or come back. It may replace the prober,
  // so it must not run here, in the prober's callback.
  look_now();
}

void Agent::take_cluster() {
  const auto before = own_cluster_.trouble();
  const auto id = properties_.find({"", std::string(api::kClusterIdProperty)});
  own_cluster_.take(id == nullptr ? std::string() : id->value);
  if (const auto now = own_cluster_.trouble(); now != before && !now.empty()) log_warn(now);
}

void Agent::pass() {
  last_pass_ = loop_.now();
  take_cluster();
  auto fresh = inputs();
  if (!fresh) {
    NodeInputs host;  // the host's own prefixes are not closed, so they must be known
    if (read_host(host)) close_remotes(host.host);
    if (waiting_ != fresh.error().text) log_info(fresh.error().text);
    waiting_ = fresh.error().text;
    return;
  }
  waiting_.clear();
  if (auto read = read_host(*fresh); !read) {
    return note({0, {read.error().text}}, {});
  }
  close_remotes(fresh->host);
  if (auto read = read_cards(*fresh); !read) {
    waiting_ = std::move(read.error().text);
    return;
  }
  keep_overlay_key(*fresh);
  fresh->overlay = overlay_key_;
  hop_.keep(*fresh);
  if (hop_.making()) {  // a pass would find no device; on_change starts the next one
    waiting_ = "the node tunnel is being made";
    return;
  }
  // Without the overlay key the wanted state of cw-vx is unknown: a device of an earlier run stays.
  if (!fresh->overlay && fresh->host.vxlan_index != 0) return publish(*fresh);
  watch_stray(*fresh);
  tell_host_source(*fresh);
  keep_probing(*fresh);
  last_ = std::move(*fresh);
  watch_cards();
  judge(*last_);
  program();
  spread();
  publish(*last_);
}

void Agent::program() {
  auto desired = std::make_shared<NodeState>(desired_state(*last_));
  if (desired->decided && programmed_) {
    // At once: the pass may take long, and an earlier one may still run.
    metrics_->steps.add(static_cast<double>(reconciler_->change_nexthops(desired->nexthops).steps));
  }
  if (programming_) {
    program_again_ = true;
    return;
  }
  reconciler_->want(*desired);
  programming_ = true;
  const bool taken = background_.run([this, desired, reconciler = reconciler_] {
    auto report = reconciler->pass(*desired);
    return [this, desired, report = std::move(report)] {
      programming_ = false;
      programmed_ = true;
      if (!program_again_) closed_.let_go();  // the routes of unpaired clusters are gone
      metrics_->passes.add();
      metrics_->steps.add(static_cast<double>(report.steps));
      if (report.steps > 0) {
        log_debug("kernel state changed",
                  {{"steps", report.steps}, {"errors", report.errors.size()}});
      }
      note_left_out(desired->left_out);
      routes_ = report.ended_early ? 0 : routes_to_remotes(*desired);
      metrics_->routes.set(routes_);
      auto problems = desired->problems;
      problems.insert(problems.end(), report.complaints.begin(), report.complaints.end());
      metrics_->rules_before.set(static_cast<double>(report.rules_before));
      const auto open = closed_.troubles();
      problems.insert(problems.end(), open.begin(), open.end());
      note(report, problems);
      if (std::exchange(program_again_, false)) look_again();
      publish(*last_);
    };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
}

void Agent::note(const netlink::PassReport& report, const std::vector<std::string>& problems) {
  auto errors = report.errors;
  errors.insert(errors.end(), problems.begin(), problems.end());
  if (errors != errors_) {
    for (const auto& error : errors) {
      if (std::find(errors_.begin(), errors_.end(), error) == errors_.end()) {
        log_warn("node state incomplete", {{"error", error}});
      }
    }
    if (errors.empty()) log_info("node state complete again");
    errors_ = std::move(errors);
  }
  metrics_->errors.set(static_cast<double>(errors_.size()));
  if (report.errors.empty()) {
    retry_.reset();
    retry_timer_.reset();
  } else {
    retry_timer_ = loop_.after(retry_.next(random_), [this] {
      host_dirty_ = true;
      look_again();
    });
  }
}

}  // namespace cw::routeagent
