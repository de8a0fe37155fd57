#include "gateway/probes.h"

#include <algorithm>

#include "base/log.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

// After a start no node is answered until every tunnel has its first verdict, or for this many
// probe intervals. A node acts on "I do not reach it", but tolerates silence.
constexpr int kSettleIntervals = 20;

void record(std::string& trouble, std::string text) {
  if (text != trouble && !text.empty()) log_warn("probe socket not open", {{"error", text}});
  trouble = std::move(text);
}

}  // namespace

Probes::Probes(Foundation& base, const Identity& identity, const Parts& parts,
               std::function<void()> on_change)
    : base_(base),
      identity_(identity),
      tunnels_(parts.tunnels),
      claims_(parts.claims),
      sightings_(parts.sightings),
      on_change_(std::move(on_change)) {}

void Probes::reconcile() {
  const auto places = this->places();
  const bool answer_nodes = settled();
  reconcile_tunnel(places.tunnel);
  reconcile_nodes(answer_nodes ? places.nodes : std::nullopt);
  reconcile_echo(places.echo);
}

Probes::Places Probes::places() const {
  Places places;
  const auto& host = base_.path.host();
  for (const auto& address : host.addresses) {
    const auto link = std::find_if(host.links.begin(), host.links.end(),
                                   [&](const auto& one) { return one.name == address.link; });
    const Place place{link == host.links.end() ? 0U : link->index, address.address};
    if (address.link == netlink::kTunnelLink) {
      const bool control = place.address == identity_.control_address;
      if (control) places.tunnel = place;
      if (control || place.address == identity_.probe_address) places.echo.insert(place);
    } else if (address.link == netlink::kVxlanLink && place.address.is_v6() &&
               place.address.is_link_local()) {
      places.nodes = place;
    }
  }
  return places;
}

bool Probes::settled() {
  if (base_.settled) return true;
  const auto now = base_.deps.loop.now();
  if (!base_.tunnels_since) base_.tunnels_since = now;
  bool all = true;
  const auto known = views();
  each_gateway(tunnels_.clusters(), [&](const GatewayId& id, const RemoteGateway&) {
    const auto view = known.find(id);
    all = all && view != known.end() && view->second.state != tunnel::LinkState::kConnecting;
  });
  const auto patience = kSettleIntervals * base_.config.probe_interval;
  return base_.settled = all || now - *base_.tunnels_since >= patience;
}

bool Probes::open(Socket& socket, const std::optional<Place>& place, tunnel::ProberConfig config,
                  tunnel::ProberHooks (Probes::*hooks)(), const char* what) {
  if (socket.place != place) socket.prober.reset();
  if (socket.prober != nullptr || !place) return socket.prober != nullptr;
  config.local.address = place->address;
  config.private_key = identity_.private_key;
  config.self = identity_.self;
  config.sender = identity_.self.ordinal;
  auto opened = base_.deps.open_prober(std::move(config), (this->*hooks)());
  record(socket.trouble, opened ? std::string() : opened.error().context(what).text);
  if (!opened) return false;
  socket.prober = std::move(*opened);
  socket.place = place;
  return true;
}

void Probes::reconcile_tunnel(const std::optional<Place>& place) {
  tunnel::ProberConfig config;
  config.detector.interval = base_.config.probe_interval;
  config.detector.lost = base_.config.probe_lost;
  config.detector.hurry = 8;  // there are few tunnels, and wide-area links lose more than a LAN
  config.local.port = netlink::kTunnelProbePort;
  config.device = std::string(netlink::kTunnelLink);
  if (!place) record(tunnel_.trouble, "the tunnel device has no control address");
  if (!open(tunnel_, place, std::move(config), &Probes::tunnel_hooks, "probes in tunnels")) return;
  std::map<GatewayId, tunnel::ProbeTarget> targets;
  std::map<tunnel::ProbeParty, tunnel::Key> askers;
  each_gateway(tunnels_.clusters(), [&](const GatewayId& id, const RemoteGateway& gateway) {
    targets[id] = {{gateway.control_address, netlink::kTunnelProbePort}, gateway.key};
    askers.emplace(id, gateway.key);
  });
  tunnel_.prober->set_targets(targets);
  tunnel_.prober->set_askers(askers);
}

void Probes::reconcile_nodes(const std::optional<Place>& place) {
  tunnel::ProberConfig config;
  config.local.port = netlink::kNodeProbePort;
  config.device = std::string(netlink::kVxlanLink);
  if (!place) record(nodes_.trouble, {});  // the route agent makes the device
  if (!open(nodes_, place, std::move(config), &Probes::node_hooks, "probes of nodes")) return;
  std::map<tunnel::ProbeParty, tunnel::Key> askers;
  for (auto& [node, key] : base_.view.node_keys()) askers.emplace(tunnel::NodeName{node}, key);
  nodes_.prober->set_askers(askers);
}

void Probes::reconcile_echo(const std::set<Place>& wanted) {
  std::erase_if(echo_, [&](const auto& one) { return wanted.count(one.first) == 0; });
  std::string trouble;
  for (const auto& place : wanted) {
    if (!base_.deps.open_echo || echo_.count(place) != 0) continue;
    auto opened = base_.deps.open_echo({place.address, netlink::kForwardingPort},
                                       std::string(netlink::kTunnelLink));
    if (opened) {
      echo_.emplace(place, std::move(*opened));
    } else {
      trouble = opened.error().context("echo in tunnels").text;
    }
  }
  record(echo_trouble_, std::move(trouble));
}

tunnel::ProbeViews Probes::views() const {
  return tunnel_.prober == nullptr ? tunnel::ProbeViews{} : tunnel_.prober->views();
}

std::vector<std::string> Probes::troubles() const {
  std::vector<std::string> all;
  for (const auto* trouble : {&tunnel_.trouble, &nodes_.trouble, &echo_trouble_}) {
    if (!trouble->empty()) all.push_back(*trouble);
  }
  return all;
}

}  // namespace cw::gateway
