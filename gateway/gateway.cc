#include "gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "gateway/object.h"
#include "gateway/peers/roster.h"
#include "netlink/owner.h"

namespace cw::gateway {

Gateway::Gateway(Foundation& base, const Identity& identity)
    : base_(base),
      identity_(identity),
      tunnels_(base.deps.loop, base.deps.driver, base.deps.metrics,
               {identity.private_key, base.config.listen_port, base.config.keepalive},
               base.report.of_tunnels([this] { base_.schedule.pass_soon(); }),
               base.deps.tunnel_background),
      sightings_(base.deps.loop, identity_, tunnels_, [this] { base_.schedule.pass_soon(); }),
      probes_(base, identity_, {tunnels_, claims_, sightings_}, [this] { receive_views(); }),
      feed_(base.deps.loop, base.deps.store, base.deps.random, base.deps.metrics,
            {identity.self, base.config.ns, identity.control_address, identity.private_key,
             base.config.heartbeat, base.config.export_namespaces},
            [this] { base_.schedule.pass_soon(); }) {}

std::vector<std::string> Gateway::not_ready() const {
  auto reasons = base_.not_ready();
  const auto add = [&](const std::vector<std::string>& more) {
    reasons.insert(reasons.end(), more.begin(), more.end());
  };
  if (!tunnels_.error().empty()) reasons.push_back(tunnels_.error());
  if (!tunnels_.tried()) reasons.emplace_back("the tunnel device is being made");
  if (!base_.path.programmed()) reasons.emplace_back("the kernel is being programmed");
  add(base_.path.errors());
  add(probes_.troubles());
  if (!feed_trouble_.empty()) reasons.push_back(feed_trouble_);
  if (auto trouble = base_.view.pods.trouble(); !trouble.empty()) reasons.push_back(trouble);
  return reasons;
}

std::size_t Gateway::carried() const { return claims_.carried_by(identity_.self.ordinal).size(); }

void Gateway::reconcile() {
  const auto& view = base_.view;
  const auto paired = paired_clusters(identity_.self.cluster, view.peers.items());
  feed_.set_peers(paired.peers, view.cidrs(), view.networks());
  auto roster = this->roster(paired);
  tunnels_.set_clusters(std::move(roster.clusters));
  sightings_.reconcile();
  claims_.set_world(view.prefixes(), tunnels_.clusters(), base_.deps.loop.now());
  claims_.set_electorate(electorate(), base_.deps.loop.now());
  tunnels_.set_claims(claims_.remote());
  if (!tunnels_.tried()) return;  // the driver's answer starts another pass
  base_.path.set_desired(path_input());
  base_.report.add_repairs(base_.path.take_restored());
  if (!base_.path.programmed()) return;  // sockets need the addresses; another pass follows
  probes_.reconcile();
  tunnels_.set_views(probes_.views());
  reconcile_feed();
  feed_.set_troubles(paired.troubles, roster.troubles);
  publish_object(false);
}

homing::Electorate Gateway::electorate() const {
  homing::Electorate voters{identity_.self.ordinal, {}, {}};
  for (const auto& [node, key] : base_.view.node_keys()) voters.nodes.insert(node);
  for (const auto& [key, gateway] : base_.view.gateways.items()) {
    voters.gateway_nodes[gateway->spec.ordinal] = gateway->spec.node;
  }
  return voters;
}

Roster Gateway::roster(const Paired& paired) {
  const auto& view = base_.view;
  std::set<tunnel::Key> own{identity_.public_key};
  for (const auto& [key, gateway] : view.gateways.items()) {
    if (auto parsed = tunnel::Key::from_base64(gateway->spec.public_key)) own.insert(*parsed);
    if (gateway->spec.ordinal != identity_.self.ordinal) sightings_.read_sibling(*gateway);
  }
  base_.names.set_wanted(wanted_names(paired.peers, feed_.clusters(), tunnels_.verdicts().working));
  const auto networks = view.networks();
  return roster_of({paired.peers,
                    feed_.clusters(),
                    std::move(own),
                    view.preshared_keys(),
                    {&base_.names.book(), &sightings_.sightings(), networks}});
}

// What the object says, until the Services were listed.
OwnEndpoints Gateway::last_endpoints() const {
  OwnEndpoints last{base_.config.endpoints,
                    {kEndpointsKnown, api::ConditionStatus::kUnknown, "Starting", "", 0, {}}};
  const auto stored = base_.view.gateways.find(gateway_key(base_.config.ordinal));
  if (stored == nullptr) return last;
  last.endpoints = stored->spec.endpoints;
  const auto* condition = api::find_condition(stored->status.conditions, kEndpointsKnown);
  if (condition != nullptr) last.condition = *condition;
  return last;
}

OwnEndpoints Gateway::endpoints() const {
  const auto& config = base_.config;
  if (!config.service.empty() && !base_.view.services.synced()) return last_endpoints();
  const auto service = base_.view.services.find({config.ns, config.service});
  return own_endpoints(config, base_.view.node(config.node).get(), service.get());
}

PathInput Gateway::path_input() const {
  PathInput input;
  input.listen_port = base_.config.listen_port;
  input.rules.bypass = base_.config.rule_priority;
  input.control_address = identity_.control_address;
  input.probe_address = identity_.probe_address;
  input.feed_connections = base_.config.feed_connections;
  input.local = base_.view.cidrs();
  for (const auto& [cluster, remote] : tunnels_.clusters()) {
    input.remotes.insert(remote.cidrs.begin(), remote.cidrs.end());
  }
  each_gateway(tunnels_.clusters(), [&](const GatewayId&, const RemoteGateway& gateway) {
    input.remote_controls.insert(gateway.control_address);
    input.remote_controls.insert(tunnel::probe_address(gateway.key, Family::kV4));
    for (const auto family : {Family::kV4, Family::kV6}) {
      input.through.emplace(tunnel::forwarding_address(identity_.public_key, gateway.key, family),
                            tunnel::probe_address(gateway.key, family));
    }
  });
  return input;
}

void Gateway::reconcile_feed() {
  feed_.set_remotes(tunnels_.clusters(), tunnels_.verdicts().working);
  const auto listening = feed_.listen();
  auto trouble = listening ? std::string() : listening.error().context("feed").text;
  if (trouble != feed_trouble_ && !trouble.empty())
    log_warn("feed does not listen, trying again", {{"error", trouble}});
  feed_trouble_ = std::move(trouble);
  const auto& view = base_.view;
  const auto& config = base_.config;
  const auto cidrs = view.cidrs();
  auto gateways = view.other_gateways(config.ordinal);
  gateways.push_back({config.ordinal, identity_.public_key.base64(), endpoints().endpoints,
                      base_.drain.active(), config.node});
  std::sort(gateways.begin(), gateways.end(),
            [](const auto& a, const auto& b) { return a.ordinal < b.ordinal; });
  feed_.announce({identity_.self.cluster, view.prefixes(), std::move(gateways)});
  feed_.publish_exports(view, cidrs);
  auto connected = tunnels_.verdicts().reached;
  for (const auto& [key, gateway] : view.gateways.items()) {
    if (gateway->spec.ordinal == config.ordinal) continue;
    for (const auto& tunnel : gateway->status.tunnels) {
      if (tunnel.state == "up" || tunnel.state == "degraded") connected.insert(tunnel.cluster);
    }
  }
  feed_.set_connected({connected.begin(), connected.end()});
}

void Gateway::receive_views() {
  tunnels_.set_views(probes_.views());
  base_.schedule.pass_at_once();
}

void Gateway::tick() {
  tunnels_.reconcile();
  tunnels_.set_views(probes_.views());
  sightings_.tick();
  base_.names.look();
  if (!base_.settled) base_.schedule.pass_soon();
  if (!not_ready().empty()) return base_.schedule.pass_soon();
  publish_object(false);
}

void Gateway::announce_drain() {
  feed_.release([] {});
  reconcile_feed();
  publish_object(true);
}

void Gateway::publish_object(bool urgent) {
  const bool draining = base_.drain.active();
  const auto object = desired_object({base_.config, base_.view, identity_, tunnels_, claims_,
                                      endpoints(), sightings_.observed(), base_.deps.driver.name(),
                                      draining, not_ready(), base_.deps.loop.wall_now()});
  base_.report.set_desired(object, urgent || draining);
}

void Gateway::publish_metrics() {
  base_.report.publish_tunnels(tunnel_statuses(tunnels_));
  base_.report.publish_feed(feed_);
}

}  // namespace cw::gateway
