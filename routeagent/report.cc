#include "routeagent/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "routeagent/gateway_probes.h"
#include "routeagent/troubles.h"

namespace cw::routeagent {

namespace {

std::string narrow_note(const Decision& decision, const ChoiceKey& key) {
  const auto at = decision.path_mtu.find(key);
  return at == decision.path_mtu.end() ? "" : fmt::format("; path MTU {}", at->second);
}

// At most ten sentences and a count: while a cluster changes its overlay, a thousand nodes may be
// left out.
std::vector<std::string> sentences(const std::vector<LeftOut>& nodes) {
  constexpr std::size_t kMost = 10;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < std::min(kMost, nodes.size()); ++i) out.push_back(nodes[i].text);
  if (nodes.size() > kMost) {
    out.push_back(fmt::format("{} more nodes are left out: see the log", nodes.size() - kMost));
  }
  return out;
}

std::vector<api::ChosenGateway> chosen_in(const Decision& decision) {
  std::vector<api::ChosenGateway> all;
  for (const auto& [key, choice] : decision.choices) {
    const auto ordinal = choice.ordinal ? std::int64_t{*choice.ordinal} : -1;
    // Both families usually have the same gateway: one entry is enough then.
    if (!all.empty() && all.back().cluster == key.cluster && all.back().ordinal == ordinal) {
      continue;
    }
    all.push_back({key.cluster, ordinal, choice.reason + narrow_note(decision, key), choice.since});
  }
  return all;
}

std::vector<api::GatewayProbe> measured(const Seen& seen, const tunnel::ProbeViews& views) {
  std::vector<api::GatewayProbe> all;
  for (const auto& gateway : seen.gateways) {
    const auto at = views.find(gateway_target(gateway.ordinal));
    if (at == views.end()) continue;
    const auto& view = at->second;
    const bool self = gateway.node == seen.self.name;
    const auto* state = !view.usable ? "down" : view.draining ? "draining" : self ? "self" : "up";
    all.push_back({gateway.ordinal, state,
                   std::chrono::duration<double, std::milli>(view.rtt).count(), view.loss});
  }
  return all;
}

}  // namespace

Report::Report(const Deps& deps, const api::RouteAgent::Spec& spec)
    : loop_(deps.loop),
      status_(deps.loop, deps.store, deps.random, spec),
      switches_(deps.loop, deps.store, deps.random, {api::kAgentWriter, spec.node},
                api::Kind::kRouteAgent, [this] { return status_.stored(); }),
      recorder_(deps.loop, deps.store, deps.random, std::string(api::kAgentWriter), spec.node),
      repairs_(deps.loop,
               deps.metrics.counter("causeway_routeagent_repairs_total",
                                    "Objects of ours that another program had removed or changed, "
                                    "and that are there again."),
               [this](const std::string& sentence) {
                 if (const auto about = status_.stored()) {
                   recorder_.record(api::Kind::kRouteAgent, *about, {true, "Restored", sentence});
                 }
               }) {}

void Report::set_condition(const char* type, bool holds, const char* yes, const char* no,
                           const std::string& message) {
  api::set_condition(conditions_,
                     {type, holds ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
                      holds ? yes : no, message, 0, WallTime{}},
                     loop_.wall_now());
}

// "Unknown" if nothing is known to stop packets, and something may.
void Report::set_pod_network(const Findings& found) {
  if (!found.obstacles.empty() || found.doubts.empty()) {
    return set_condition("PodNetworkFits", found.obstacles.empty(), "NothingFound",
                         "SettingInTheWay", fmt::format("{}", fmt::join(found.obstacles, "; ")));
  }
  api::set_condition(conditions_,
                     {"PodNetworkFits", api::ConditionStatus::kUnknown, "FilterMayDrop",
                      fmt::format("{}", fmt::join(found.doubts, "; ")), 0, WallTime{}},
                     loop_.wall_now());
}

void Report::publish(const Seen& seen, const Decision& decision, const Findings& found) {
  const auto apart = sentences(found.left_out);
  const auto& hostless = found.hostless;
  set_condition("Ready", found.not_ready.empty(), "Programmed", "Incomplete",
                fmt::format("{}", fmt::join(found.not_ready, "; ")));
  set_condition("OverlayAgrees", apart.empty(), "AllNodes", "NodesLeftOut",
                fmt::format("{}", fmt::join(apart, "; ")));
  set_condition("HostServed", hostless.empty(), "AddressInside", "NoAddressInside", hostless);
  set_pod_network(found);
  api::RouteAgent::Status status;
  status.chosen = chosen_in(decision);
  status.gateways = measured(seen, found.probes);
  status.routes = found.routes;
  status.errors = found.errors;
  for (const auto& silence : found.silences) status.errors.push_back(silence.text);
  status.errors.insert(status.errors.end(), apart.begin(), apart.end());
  status.closed = found.closed;
  status.conditions = conditions_;
  status_.publish(std::move(status));
}

}  // namespace cw::routeagent
