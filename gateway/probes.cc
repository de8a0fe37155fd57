#include "gateway/probes.h"

#include "base/log.h"
#include "netlink/owner.h"

namespace cw::gateway {
namespace {

void note(std::string& trouble, std::string text) {
  if (text != trouble && !text.empty()) log_warn("probe socket not open", {{"error", text}});
  trouble = std::move(text);
}

}  // namespace

Probes::Probes(ProbesConfig config, Open open, OpenEcho open_echo, tunnel::ProberHooks in_tunnel,
               tunnel::ProberHooks of_nodes)
    : config_(std::move(config)),
      open_(std::move(open)),
      open_echo_(std::move(open_echo)),
      in_tunnel_(std::move(in_tunnel)),
      of_nodes_(std::move(of_nodes)) {}

void Probes::identify(tunnel::ProberConfig& config) const {
  config.private_key = config_.private_key;
  config.self = config_.self;
  config.sender = config_.ordinal;
}

void Probes::ask_now(const GatewayId& target) {
  if (tunnel_ != nullptr) tunnel_->ask_now(target);
}

void Probes::keep(const Wanted& wanted) {
  keep_tunnel(wanted);
  keep_nodes(wanted);
  keep_echo(wanted);
}

void Probes::keep_echo(const Wanted& wanted) {
  std::erase_if(echo_, [&](const auto& one) { return wanted.echo.count(one.first) == 0; });
  std::string trouble;
  for (const auto& place : wanted.echo) {
    if (!open_echo_ || echo_.count(place) != 0) continue;
    auto opened = open_echo_({place.address, netlink::kForwardingPort}, config_.tunnel_link);
    if (opened) {
      echo_.emplace(place, std::move(*opened));
    } else {
      trouble = opened.error().context("echo in tunnels").text;
    }
  }
  note(echo_trouble_, std::move(trouble));
}

void Probes::keep_tunnel(const Wanted& wanted) {
  if (tunnel_ != nullptr && tunnel_place_ != wanted.tunnel) tunnel_.reset();
  if (tunnel_ == nullptr) {
    if (!wanted.tunnel) return note(tunnel_trouble_, "the tunnel device has no control address");
    tunnel::ProberConfig config;
    config.detector.interval = config_.interval;
    config.detector.lost = config_.lost;
    config.detector.hurry = 8;  // there are few tunnels, and wide-area links lose more than a LAN
    config.local = {wanted.tunnel->address, netlink::kTunnelProbePort};
    config.device = config_.tunnel_link;
    identify(config);
    auto opened = open_(std::move(config), in_tunnel_);
    if (!opened) return note(tunnel_trouble_, opened.error().context("probes in tunnels").text);
    tunnel_ = std::move(*opened);
    tunnel_place_ = wanted.tunnel;
    note(tunnel_trouble_, {});
  }
  tunnel_->set_targets(wanted.targets);
  std::map<tunnel::ProbeParty, tunnel::Key> askers;
  for (const auto& [id, target] : wanted.targets) askers.emplace(id, target.key);
  tunnel_->set_askers(askers);
}

void Probes::keep_nodes(const Wanted& wanted) {
  if (nodes_ != nullptr && nodes_place_ != wanted.nodes) nodes_.reset();
  if (!wanted.nodes) return note(nodes_trouble_, {});  // the route agent makes the device
  if (nodes_ != nullptr) return nodes_->set_askers(wanted.askers);
  tunnel::ProberConfig config;
  config.local = {wanted.nodes->address, netlink::kNodeProbePort};
  config.device = std::string(netlink::kVxlanLink);
  identify(config);
  auto opened = open_(std::move(config), of_nodes_);
  if (!opened) return note(nodes_trouble_, opened.error().context("probes of nodes").text);
  nodes_ = std::move(*opened);
  nodes_place_ = wanted.nodes;
  nodes_->set_askers(wanted.askers);
  note(nodes_trouble_, {});
}

tunnel::ProbeViews Probes::views() const {
  return tunnel_ == nullptr ? tunnel::ProbeViews{} : tunnel_->views();
}

std::vector<std::string> Probes::troubles() const {
  std::vector<std::string> all;
  for (const auto* trouble : {&tunnel_trouble_, &nodes_trouble_, &echo_trouble_}) {
    if (!trouble->empty()) all.push_back(*trouble);
  }
  return all;
}

}  // namespace cw::gateway
