// What the daemon keeps in the kernel besides the tunnels. Also its probes, because they need the
// addresses.
#include <algorithm>

#include "base/log.h"
#include "gateway/daemon_identified.h"
#include "netlink/owner.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::gateway {
namespace {

// After a start no node is answered until every tunnel has its first verdict, or for this many
// probe intervals. A node acts on "I do not reach it", but tolerates silence.
constexpr int kSettleIntervals = 20;

}  // namespace

std::optional<Daemon::HostView> Daemon::host_of(netlink::Kernel& kernel) {
  auto links = kernel.all_links();
  auto addresses = kernel.all_addresses();
  if (!links || !addresses) return std::nullopt;
  return HostView{std::move(*links), std::move(*addresses)};
}

void Daemon::keep_path() {
  PathInput input;
  input.listen_port = config_.listen_port;
  input.rules.bypass = config_.rule_priority;
  input.control_address = identified_->control_address;
  input.probe_address = identified_->probe_address;
  input.feed_connections = config_.feed_connections;
  input.local = view_->cidrs();
  for (const auto& [cluster, remote] : identified_->tunnels.clusters()) {
    input.remotes.insert(remote.cidrs.begin(), remote.cidrs.end());
    for (const auto& [ordinal, gateway] : remote.gateways) {
      input.remote_controls.insert(gateway.control_address);
      input.remote_controls.insert(tunnel::probe_address(gateway.key, Family::kV4));
      for (const auto family : {Family::kV4, Family::kV6}) {
        input.through.emplace(
            tunnel::forwarding_address(identified_->public_key, gateway.key, family),
            tunnel::probe_address(gateway.key, family));
      }
    }
  }
  if (!kernel_dirty_ && path_ == input && path_errors_.empty()) return;
  if (programming_) {
    kernel_dirty_ = true;  // note_path() looks again
    return;
  }
  kernel_dirty_ = false;
  path_ = input;
  programming_ = true;
  const bool taken = deps_.background.run([this, input = std::move(input), reconciler = reconciler_,
                                           kernel = deps_.slow_kernel] {
    auto report = reconciler->apply(desired_path(input));
    auto host = host_of(*kernel);
    return [this, report = std::move(report), host = std::move(host)] { note_path(report, host); };
  });
  CW_CHECK(taken);  // at most one runs, so the queue has room
}

void Daemon::note_path(netlink::PassReport report, const std::optional<HostView>& host) {
  programming_ = false;
  const bool first = !std::exchange(programmed_, true);
  kernel_dirty_ = kernel_dirty_ || report.more;
  const bool other_host = host && *host != host_;
  if (other_host) host_ = *host;
  for (const auto& error : report.errors) {
    if (std::find(path_errors_.begin(), path_errors_.end(), error) == path_errors_.end()) {
      log_warn("kernel state incomplete, trying again", {{"error", error}});
    }
  }
  if (report.errors.empty() && !path_errors_.empty()) log_info("kernel state complete again");
  path_errors_ = std::move(report.errors);
  if (report.steps > 0) log_debug("kernel state changed", {{"steps", report.steps}});
  // For changes that came meanwhile, and for probes on addresses that exist now.
  if (first || other_host || report.steps > 0 || kernel_dirty_) look_again();
}

void Daemon::keep_probes() {
  Probes::Wanted wanted;
  const auto& links = host_.links;
  const auto index_of = [&](std::string_view name) {
    const auto link =
        std::find_if(links.begin(), links.end(), [&](const auto& one) { return one.name == name; });
    return link == links.end() ? 0U : link->index;
  };
  for (const auto& address : host_.addresses) {
    if (address.link == netlink::kTunnelLink && address.address == identified_->control_address) {
      wanted.tunnel = {index_of(address.link), address.address};
      wanted.echo.insert(*wanted.tunnel);
    }
    if (address.link == netlink::kTunnelLink && address.address == identified_->probe_address) {
      wanted.echo.insert({index_of(address.link), address.address});
    }
    if (address.link == netlink::kVxlanLink && address.address.is_v6() &&
        address.address.is_link_local()) {
      wanted.nodes = {index_of(address.link), address.address};
    }
  }
  if (!settled()) wanted.nodes.reset();
  for (auto& [node, key] : view_->node_keys()) {
    wanted.askers.emplace(tunnel::NodeName{node}, key);
  }
  for (const auto& [cluster, remote] : identified_->tunnels.clusters()) {
    for (const auto& [ordinal, gateway] : remote.gateways) {
      wanted.targets[{cluster, ordinal}] = {{gateway.control_address, netlink::kTunnelProbePort},
                                            gateway.key};
    }
  }
  identified_->probes.keep(wanted);
}

bool Daemon::settled() {
  if (settled_) return true;
  const auto now = deps_.loop.now();
  if (identified_since_ == TimePoint{}) identified_since_ = now;
  const auto views = identified_->probes.views();
  const bool heard_all = std::all_of(
      identified_->tunnels.clusters().begin(), identified_->tunnels.clusters().end(),
      [&](const auto& cluster) {
        return std::all_of(cluster.second.gateways.begin(), cluster.second.gateways.end(),
                           [&](const auto& gateway) {
                             const auto view = views.find({cluster.first, gateway.first});
                             return view != views.end() &&
                                    view->second.state != tunnel::LinkState::kConnecting;
                           });
      });
  settled_ = heard_all || now - identified_since_ >= kSettleIntervals * config_.probe_interval;
  return settled_;
}

}  // namespace cw::gateway
