#include "gateway/daemon.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "gateway/daemon_identified.h"
#include "gateway/identity.h"
#include "netlink/owner.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {
namespace {

// A burst of changes in the store becomes one pass.
constexpr Duration kDebounce = std::chrono::milliseconds(20);
// Other programs' links and addresses change with every pod. A burst becomes one pass.
constexpr Duration kKernelDebounce = std::chrono::milliseconds(200);
// How often tunnels are looked at, and how often a gateway that is not ready tries again.
constexpr Duration kTick = std::chrono::seconds(1);
// A kernel pass without an event repairs changes that no event reported.
constexpr Duration kResync = std::chrono::seconds(60);
// If no other gateway can take over, only the last probes and feed messages need time to go out.
constexpr Duration kShortDrain = std::chrono::milliseconds(200);
// A drain waits for nodes that still claim this gateway, at most this many times its usual length.
constexpr int kDrainLimit = 5;

Deps with_one_kernel(Deps deps) {
  deps.slow_kernel = &deps.kernel;
  return deps;
}

}  // namespace

Daemon::Daemon(const Deps& deps, const Config& config, std::optional<tunnel::Key> file_key)
    : deps_(deps.slow_kernel == nullptr ? with_one_kernel(deps) : deps),
      config_(config),
      file_key_(std::move(file_key)),
      refused_in_tunnel_(deps.loop, deps.metrics, "tunnel"),
      refused_of_nodes_(deps.loop, deps.metrics, "nodes"),
      reconciler_(
          std::make_shared<netlink::Reconciler>(netlink::gateway_owner(), *deps_.slow_kernel)),
      private_key_(deps.loop, deps.store, deps.random, {config.ns, key_secret(config.ordinal)},
                   std::string(kPrivateKeyEntry),
                   [this] {
                     // A Secret that vanished gets the same key again: peers know it.
                     return identified_ != nullptr ? identified_->private_key.base64()
                                                   : fresh_private_key(deps_.random);
                   }),
      overlay_secret_(deps.loop, deps.store, deps.random, {config.ns, std::string(kOverlaySecret)},
                      std::string(kOverlayEntry),
                      [this] {
                        return overlay_seen_.empty() ? fresh_overlay_key(deps_.random)
                                                     : overlay_seen_;
                      }),
      writer_(deps.loop, deps.store, deps.random),
      events_(deps.loop, deps.store, deps.random, api::kGatewayWriter, config.node),
      switches_(deps.loop, deps.store, deps.random, {api::kGatewayWriter, config.node},
                api::Kind::kTunnelGateway, [this] { return stored_meta(); }),
      look_(deps.loop, kDebounce, [this] { pass(); }),
      kernel_look_(deps.loop, kKernelDebounce,
                   [this] {
                     kernel_dirty_ = true;
                     pass();
                   }),
      tick_timer_(deps.loop.every(kTick, [this] { tick(); })),
      resync_timer_(deps.loop.every(kResync,
                                    [this] {
                                      kernel_dirty_ = true;
                                      look_again();
                                    })),
      kernel_events_(deps.kernel.on_change([this] { kernel_look_.poke(); })),
      view_(std::make_unique<ClusterView>(deps.loop, deps.store, deps.random, config.ns,
                                          file_key_ ? std::string() : key_secret(config.ordinal),
                                          [this] { look_again(); })) {
  deps_.metrics.before_scrape([this, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) set_metrics();
  });
}

Daemon::~Daemon() = default;

void Daemon::look_again() { look_.poke(); }

std::vector<std::string> Daemon::not_ready() const {
  std::vector<std::string> reasons;
  if (!waiting_.empty()) reasons.push_back(waiting_);
  if (auto renamed = own_cluster_.trouble(); !renamed.empty())
    reasons.push_back(std::move(renamed));
  if (draining_) reasons.emplace_back("draining");
  if (identified_ == nullptr) return reasons;
  if (!identified_->tunnels.error().empty()) reasons.push_back(identified_->tunnels.error());
  if (!identified_->tunnels.tried()) reasons.emplace_back("the tunnel device is being made");
  if (!programmed_) reasons.emplace_back("the kernel is being programmed");
  reasons.insert(reasons.end(), path_errors_.begin(), path_errors_.end());
  const auto probes = identified_->probes.troubles();
  reasons.insert(reasons.end(), probes.begin(), probes.end());
  if (!feed_trouble_.empty()) reasons.push_back(feed_trouble_);
  return reasons;
}

Result<tunnel::Key> Daemon::own_key() {
  if (file_key_) return *file_key_;
  const api::ObjectKey name{config_.ns, key_secret(config_.ordinal)};
  const auto secret = view_->private_key->find(name);
  if (deps_.make_secrets) private_key_.look(secret);
  // Peers know the key of a running gateway, so it stays. private_key_.look() writes it back.
  const bool there = secret != nullptr && secret->data.count(std::string(kPrivateKeyEntry)) != 0;
  if (!there && identified_ != nullptr) return identified_->private_key;
  if (secret != nullptr) return key_from_secret(*secret, std::string(kPrivateKeyEntry));
  if (!deps_.make_secrets) return fail(Errc::kNotFound, missing_secret(config_.ns, name.name));
  return fail(Errc::kNotFound,
              fmt::format("waiting for Secret {}{}{}", name.to_string(),
                          private_key_.error().empty() ? "" : ": ", private_key_.error()));
}

Result<> Daemon::identify() {
  view_->keep_preshared();
  if (auto synced = view_->synced(); !synced) return synced;
  if (deps_.make_secrets) {
    const auto overlay = view_->overlay_key.find({config_.ns, std::string(kOverlaySecret)});
    if (overlay != nullptr) {
      const auto entry = overlay->data.find(std::string(kOverlayEntry));
      if (entry != overlay->data.end() && entry->second.size() == kOverlayKeyBytes) {
        overlay_seen_ = entry->second;
      }
    }
    overlay_secret_.look(overlay);
  }
  const auto read = view_->cluster_id();
  if (!read) return fail(read.error());
  const auto renamed = own_cluster_.trouble();
  own_cluster_.take(*read);
  if (const auto now = own_cluster_.trouble(); now != renamed && !now.empty()) log_warn(now);
  const auto& cluster = own_cluster_.id();
  const auto key = own_key();
  if (!key) return fail(key.error());
  if (view_->own_prefixes(config_.node).empty() &&
      view_->nodes.find({"", config_.node}) == nullptr) {
    return fail(Errc::kNotFound, fmt::format("waiting for Node {}", config_.node));
  }
  if (identified_ != nullptr && identified_->private_key == *key) return {};
  identified_.reset();
  path_.reset();
  identified_ =
      std::make_unique<Identified>(deps_, config_, GatewayId{cluster, config_.ordinal}, *key,
                                   tunnel_hooks(), node_hooks(), tell(), [this] { look_again(); });
  log_info("gateway identified", {{"cluster", cluster},
                                  {"gateway", config_.ordinal},
                                  {"key", identified_->public_key.base64()},
                                  {"control", identified_->control_address.to_string()}});
  return {};
}

void Daemon::pass() {
  const auto known = identify();
  const auto waiting = known ? std::string() : known.error().text;
  if (waiting != waiting_ && !waiting.empty()) log_info(waiting);
  waiting_ = waiting;
  if (identified_ == nullptr) return;
  identified_->paired = paired_clusters(identified_->self.cluster, view_->peers.items());
  identified_->feed.set_peers(identified_->paired.peers, view_->cidrs(), view_->networks());
  auto now = roster();
  identified_->troubles = std::move(now.troubles);
  identified_->tunnels.set_clusters(std::move(now.clusters));
  identified_->claims.set_world(view_->prefixes(), identified_->tunnels.clusters(),
                                deps_.loop.now());
  identified_->tunnels.set_claims(identified_->claims.remote());
  if (!identified_->tunnels.tried()) return;  // the driver's answer starts another pass
  keep_path();
  if (!programmed_) return;  // sockets need the addresses; the end of the kernel pass looks again
  keep_probes();
  identified_->tunnels.set_views(identified_->probes.views());
  keep_feed();
  identified_->feed.set_troubles(identified_->paired.troubles, identified_->troubles);
  keep_object(false);
}

Roster Daemon::roster() const {
  std::set<tunnel::Key> own{identified_->public_key};
  for (const auto& [key, gateway] : view_->gateways.items()) {
    if (auto parsed = tunnel::Key::from_base64(gateway->spec.public_key)) own.insert(*parsed);
  }
  return roster_of({identified_->paired.peers, identified_->feed.clusters(), std::move(own),
                    view_->preshared_keys()});
}

void Daemon::keep_feed() {
  const auto working = identified_->tunnels.working();
  identified_->feed.set_remotes(identified_->tunnels.clusters(), working);
  const auto listening = identified_->feed.listen();
  const auto trouble = listening ? std::string() : listening.error().context("feed").text;
  if (trouble != feed_trouble_ && !trouble.empty())
    log_warn("feed does not listen, trying again", {{"error", trouble}});
  feed_trouble_ = trouble;
  const auto cidrs = view_->cidrs();
  auto gateways = view_->other_gateways(config_.ordinal);
  gateways.push_back(self_statement());
  std::sort(gateways.begin(), gateways.end(),
            [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  identified_->feed.announce({identified_->self.cluster, cidrs, std::move(gateways)});
  identified_->feed.publish_exports(*view_, cidrs);
  auto connected = identified_->tunnels.reached();
  for (const auto& [key, gateway] : view_->gateways.items()) {
    if (gateway->spec.ordinal == config_.ordinal) continue;
    for (const auto& tunnel : gateway->status.tunnels) {
      if (tunnel.state == "up" || tunnel.state == "degraded") connected.insert(tunnel.cluster);
    }
  }
  identified_->feed.set_connected({connected.begin(), connected.end()});
}

bool Daemon::drains() const {
  if (draining_) return true;
  const auto stored = view_->gateways.find(gateway_key(config_.ordinal));
  return stored != nullptr &&
         stored->meta.annotations.count(std::string(api::kDrainAnnotation)) != 0;
}

void Daemon::on_probe() {
  if (identified_ == nullptr) return;
  identified_->tunnels.set_views(identified_->probes.views());
  // The pass runs at once, but in a turn of its own: it may replace the prober that called us. A
  // peer can change its answers with each probe, so passes keep a distance.
  const auto now = deps_.loop.now();
  if (last_at_once_ && now - *last_at_once_ < kDebounce) return look_again();
  last_at_once_ = now;
  at_once_ = deps_.loop.after(Duration::zero(), [this] { pass(); });
}

void Daemon::tick() {
  if (identified_ == nullptr) return look_again();
  identified_->tunnels.look();
  identified_->tunnels.set_views(identified_->probes.views());
  if (!settled_) look_again();
  if (!not_ready().empty()) {
    kernel_dirty_ = kernel_dirty_ || !path_errors_.empty();
    return look_again();
  }
  keep_object(false);
}

std::vector<Endpoint> Daemon::endpoints() const {
  if (!config_.endpoints.empty()) return config_.endpoints;
  std::vector<Endpoint> all;
  if (const auto node = view_->nodes.find({"", config_.node})) {
    for (const auto& address : node->internal_ips) all.push_back({address, config_.listen_port});
  }
  return all;
}

GatewayStatement Daemon::self_statement() const {
  GatewayStatement self{config_.ordinal, identified_->public_key.base64(),  endpoints(),
                        drains(),        view_->own_prefixes(config_.node), {}};
  if (const auto stored = view_->gateways.find(gateway_key(config_.ordinal))) {
    self.homed = stored->status.homed;
  }
  return self;
}

api::TunnelGateway Daemon::wanted_object() const {
  api::TunnelGateway gateway;
  gateway.meta.key = gateway_key(config_.ordinal);
  gateway.spec.ordinal = config_.ordinal;
  gateway.spec.node = config_.node;
  const auto node = view_->nodes.find({"", config_.node});
  if (node != nullptr && !node->internal_ips.empty()) {
    gateway.spec.node_ip = node->internal_ips.front();
  }
  gateway.spec.public_key = identified_->public_key.base64();
  gateway.spec.endpoints = endpoints();
  gateway.spec.control_address = identified_->control_address;

  auto& status = gateway.status;
  status.driver = deps_.driver.name();
  status.draining = drains();
  status.tunnels = tunnel_statuses(identified_->tunnels);
  auto reasons = not_ready();
  std::erase(reasons, "draining");  // status.draining says it
  std::vector<homing::GatewayView> views{
      {config_.ordinal, true, status.draining, PrefixSet(view_->own_prefixes(config_.node))}};
  for (const auto& [key, other] : view_->gateways.items()) {
    if (other->spec.ordinal == config_.ordinal) continue;
    views.push_back(local_view(*other, view_->own_prefixes(other->spec.node)));
  }
  // A claimed prefix is homed where its node says, any other where the home order puts it.
  const auto carried = identified_->claims.carried_by(config_.ordinal);
  const auto claimed = identified_->claims.claimed();
  status.homed = homed_here(identified_->self.cluster, view_->cidrs(), views, config_.ordinal);
  std::erase_if(status.homed, [&](const Prefix& prefix) {
    return claimed.count(prefix) != 0 && carried.count(prefix) == 0;
  });
  status.homed.insert(status.homed.end(), carried.begin(), carried.end());
  std::sort(status.homed.begin(), status.homed.end());
  status.homed.erase(std::unique(status.homed.begin(), status.homed.end()), status.homed.end());
  if (const auto stored = view_->gateways.find(gateway.meta.key)) {
    status.conditions = stored->status.conditions;
  }
  (void)api::set_condition(  // the writer compares the whole object
      status.conditions,
      {"Ready",
       reasons.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       reasons.empty() ? "Working" : "NotWorking",
       fmt::format("{}", fmt::join(reasons, "; ")),
       0,
       {}},
      deps_.loop.wall_now());
  return gateway;
}

void Daemon::keep_object(bool urgent) {
  const auto wanted = wanted_object();
  writer_.want(wanted, view_->gateways.find(wanted.meta.key), urgent || drains());
}

bool Daemon::others_can_take_over() const {
  const auto& gateways = view_->gateways.items();
  return std::any_of(gateways.begin(), gateways.end(), [this](const auto& entry) {
    const auto view = local_view(*entry.second, {});
    return view.ordinal != config_.ordinal && view.usable && !view.draining;
  });
}

void Daemon::drain(std::function<void()> done) {
  draining_ = true;
  const bool wait = identified_ != nullptr && others_can_take_over();
  log_info("gateway drains", {{"others", wait ? "take over" : "none"}});
  drained_ = std::move(done);
  drain_ends_ = deps_.loop.now() + (wait ? kDrainLimit * config_.drain : kShortDrain);
  drain_timer_ = deps_.loop.after(wait ? config_.drain : kShortDrain, [this] { watch_drain(); });
  if (identified_ == nullptr) return;
  identified_->feed.release([] {});
  keep_feed();
  keep_object(true);
}

void Daemon::watch_drain() {
  const auto carried =
      identified_ == nullptr ? 0 : identified_->claims.carried_by(config_.ordinal).size();
  if (carried == 0 || deps_.loop.now() >= drain_ends_) {
    if (carried != 0) log_warn("drain ends with prefixes still claimed", {{"prefixes", carried}});
    return std::exchange(drained_, {})();
  }
  drain_timer_ = deps_.loop.after(kDebounce, [this] { watch_drain(); });
}

}  // namespace cw::gateway
