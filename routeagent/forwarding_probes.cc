#include "routeagent/forwarding_probes.h"

#include <algorithm>

#include "base/log.h"
#include "netlink/owner.h"
#include "routeagent/node/this_node.h"
#include "routeagent/node/whole_cluster.h"
#include "tunnel/probe/forwarding_address.h"

namespace cw::routeagent {

namespace {

constexpr const char* kForwards = "causeway_routeagent_gateway_forwards";
constexpr const char* kPathMtu = "causeway_routeagent_path_mtu_bytes";

MetricLabels labels_of(const tunnel::PathKey& key) {
  return {{"gateway", std::to_string(key.gateway)},
          {"cluster", key.cluster},
          {"family", key.family == Family::kV4 ? "ipv4" : "ipv6"}};
}

}  // namespace

void ForwardingProbes::reconcile(const Seen& seen) {
  tunnel::ForwardingProber::Paths paths;
  std::map<std::uint32_t, std::size_t> each;
  std::set<Family> families;
  const auto add = [&](const ForwardingTarget& target) {
    const tunnel::PathKey path{target.gateway, target.cluster, target.family};
    if (paths[path].empty()) ++each[target.gateway];
    paths[path].push_back(target.address);
  };
  for (const auto& target : forwarding_targets(seen)) {
    add(target);
    families.insert(target.family);
  }
  tunnel::ForwardingConfig config;
  for (const auto& target : own_targets(seen)) {
    add(target);
    config.own_gateway = target.gateway;
    config.own[target.family] = tunnel::probe_address(*own_gateway(seen)->key, target.family);
  }
  for (const auto family : families) config.local[family] = *probe_source(seen, family);
  config.port = netlink::kForwardingPort;
  config.path.size.full = node_mtu(seen);
  if (!open_ || paths.empty()) {
    prober_.reset();
    seen_.clear();
    trouble_.clear();
    return show();
  }
  if (prober_ != nullptr && !(config == config_)) {
    prober_.reset();
    seen_.clear();
  }
  if (prober_ == nullptr) {
    auto opened = open_(config, [this] {
      seen_ = prober_->views();
      show();
      on_change_();
    });
    if (!opened) {
      const auto text = opened.error().context("probe through gateways").text;
      if (text != trouble_) log_warn("probes", {{"error", text}});
      trouble_ = text;
      return show();
    }
    prober_ = std::move(*opened);
    config_ = config;
    trouble_.clear();
  }
  std::size_t most = 0;
  for (const auto& [gateway, count] : each) most = std::max(most, count);
  prober_->set_paths(paths, tunnel::forwarding_interval(seen.others.size() + 1, most));
  seen_ = prober_->views();
  show();
}

void ForwardingProbes::add_to(GatewayInput& gateway) const {
  for (const auto& [key, view] : seen_) {
    if (key.gateway != gateway.ordinal || key.gateway == config_.own_gateway) continue;
    const ChoiceKey choice{key.cluster, key.family};
    if (view.verdict == tunnel::PathVerdict::kForwards) gateway.forwards.insert(choice);
    if (view.verdict == tunnel::PathVerdict::kSilent) gateway.not_forwarding.insert(choice);
  }
}

std::map<ChoiceKey, std::uint32_t> ForwardingProbes::path_mtu() const {
  std::map<ChoiceKey, std::uint32_t> found;
  for (const auto& [key, view] : seen_) {
    if (!view.floor) continue;
    const auto mtu = static_cast<std::uint32_t>(*view.floor);
    const auto [at, fresh] = found.emplace(ChoiceKey{key.cluster, key.family}, mtu);
    if (!fresh) at->second = std::min(at->second, mtu);
  }
  return found;
}

void ForwardingProbes::show() {
  std::set<tunnel::PathKey> now;
  for (const auto& [key, view] : seen_) {
    if (view.verdict == tunnel::PathVerdict::kUnknown) continue;
    now.insert(key);
    metrics_.gauge(kPathMtu, "The largest packet that passes through the gateway.", labels_of(key))
        .set(static_cast<double>(view.floor.value_or(config_.path.size.full)));
    if (key.gateway == config_.own_gateway) continue;  // Linux does not forward the host's own
    metrics_.gauge(kForwards, "1 while probes through the gateway come back.", labels_of(key))
        .set(view.verdict == tunnel::PathVerdict::kForwards ? 1 : 0);
  }
  for (const auto& key : shown_) {
    if (now.count(key) != 0) continue;
    metrics_.forget(kForwards, labels_of(key));
    metrics_.forget(kPathMtu, labels_of(key));
  }
  shown_ = std::move(now);
}

}  // namespace cw::routeagent
