#include "routeagent/gateway_probes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "routeagent/node/vtep.h"

namespace cw::routeagent {

namespace {

constexpr const char* kUp = "causeway_routeagent_gateway_up";
constexpr const char* kRtt = "causeway_routeagent_gateway_rtt_seconds";

MetricLabels labels_of(std::uint32_t ordinal) { return {{"gateway", std::to_string(ordinal)}}; }

}  // namespace

GatewayId gateway_target(std::uint32_t ordinal) { return {{}, ordinal}; }

GatewayProbes::GatewayProbes(const Deps& deps, tunnel::ProberHooks hooks)
    : loop_(deps.loop),
      metrics_(deps.metrics),
      config_(deps.config),
      node_key_(deps.node_key),
      open_(deps.open_prober),
      hooks_(std::move(hooks)) {
  hooks_.on_refused = [refused = std::make_shared<tunnel::Refusals>(loop_, metrics_, "gateways")](
                          tunnel::Refusal refusal, const IpAddress& from,
                          const std::string& words) { refused->add(refusal, from, words); };
}

void GatewayProbes::reconcile(const Seen& seen) {
  trouble_.clear();
  if (!seen.overlay) return;
  if (seen.host.vxlan_index != link_) prober_.reset();
  link_ = seen.host.vxlan_index;
  if (link_ == 0) return;  // a pass makes it; its event starts the next pass
  const auto interval = tunnel::shared_interval(config_.probe_interval, seen.others.size() + 1);
  if (prober_ == nullptr && !open(interval)) return;
  prober_->set_interval(interval);
  std::map<GatewayId, tunnel::ProbeTarget> targets;
  for (const auto& gateway : seen.gateways) {
    if (!gateway.key || left_out(seen, gateway)) continue;
    targets[gateway_target(gateway.ordinal)] = {
        {vtep_address(*seen.overlay, gateway.node_ip), netlink::kNodeProbePort}, *gateway.key};
  }
  prober_->set_targets(targets);
}

bool GatewayProbes::open(Duration interval) {
  tunnel::ProberConfig config;
  config.detector.interval = interval;
  config.detector.lost = config_.probe_lost;
  config.local = {IpAddress::v6({}), netlink::kNodeAskPort};
  config.device = netlink::kVxlanLink;
  config.private_key = node_key_;
  config.self = tunnel::NodeName{config_.node};
  auto opened = open_(std::move(config), hooks_);
  if (!opened) {
    trouble_ = opened.error().context("probe").text;
    return false;
  }
  prober_ = std::move(*opened);
  since_ = loop_.now();
  return true;
}

void GatewayProbes::ask_now(std::uint32_t ordinal) {
  if (prober_ != nullptr) prober_->ask_now(gateway_target(ordinal));
}

bool GatewayProbes::conclusive(const Seen& seen) {
  if (seen.gateways.empty()) return true;
  if (prober_ == nullptr) return false;
  const auto warm = config_.probe_interval * (2 * config_.probe_lost + 4);
  const auto left = since_ + warm - loop_.now();
  if (left <= Duration::zero()) return true;
  const auto views = prober_->views();
  const bool all_known =
      !views.empty() && std::none_of(views.begin(), views.end(), [](const auto& entry) {
        return entry.second.state == tunnel::LinkState::kConnecting;
      });
  if (!all_known && !warm_timer_.active()) {
    warm_timer_ = loop_.after(left, [this] {
      warm_timer_.reset();
      hooks_.on_change({});
    });
  }
  return all_known;
}

tunnel::ProbeViews GatewayProbes::views() const {
  return prober_ == nullptr ? tunnel::ProbeViews{} : prober_->views();
}

std::vector<GatewayInput> GatewayProbes::inputs(const Seen& seen) {
  const auto all = views();
  std::vector<GatewayInput> inputs;
  std::set<std::uint32_t> ordinals;
  for (const auto& gateway : seen.gateways) {
    GatewayInput input;
    input.ordinal = gateway.ordinal;
    input.node = gateway.node;
    ordinals.insert(gateway.ordinal);
    if (const auto at = all.find(gateway_target(gateway.ordinal)); at != all.end()) {
      const auto& view = at->second;
      input.usable = view.usable;
      input.draining = view.draining;
      for (const auto& cluster : view.clusters) {
        if (!cluster.reachable) continue;
        input.reaches.insert(cluster.id);
        // Loss between the gateway and the cluster, or between this node and the gateway.
        if (cluster.degraded || view.state == tunnel::LinkState::kDegraded) {
          input.lossy_to.insert(cluster.id);
        }
      }
      if (view.state == tunnel::LinkState::kConnecting) input.trouble = "has not answered yet";
      if (!view.trouble.empty()) input.trouble = view.trouble;
      show(gateway.ordinal, view);
    }
    if (gateway.node == seen.self.name) {
      input.here = true;
      if (input.usable && !seen.host.tunnel_up) {
        input.usable = false;
        input.trouble = "has no tunnel device";
      }
    }
    if (const auto why = left_out(seen, gateway)) {
      input.trouble =
          fmt::format("is on a node that is left out ({} there, {} here)", why->theirs, why->ours);
    }
    inputs.push_back(std::move(input));
  }
  hide_all_but(ordinals);
  return inputs;
}

void GatewayProbes::show(std::uint32_t ordinal, const tunnel::ProbeView& view) {
  metrics_.gauge(kUp, "1 while the gateway answers probes.", labels_of(ordinal))
      .set(view.usable ? 1 : 0);
  metrics_.gauge(kRtt, "Round trip to the gateway.", labels_of(ordinal))
      .set(std::chrono::duration<double>(view.rtt).count());
  shown_.insert(ordinal);
}

void GatewayProbes::hide_all_but(const std::set<std::uint32_t>& ordinals) {
  std::erase_if(shown_, [&](std::uint32_t ordinal) {
    if (ordinals.count(ordinal) != 0) return false;
    metrics_.forget(kUp, labels_of(ordinal));
    metrics_.forget(kRtt, labels_of(ordinal));
    return true;
  });
}

}  // namespace cw::routeagent
