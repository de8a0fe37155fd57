// Why the agent is not ready, and the status of its RouteAgent.
#include <fmt/format.h>

#include <algorithm>

#include "routeagent/agent.h"

namespace cw::routeagent {

std::vector<std::string> Agent::not_ready() const {
  std::vector<std::string> reasons;
  if (!waiting_.empty()) reasons.push_back(waiting_);
  if (auto renamed = own_cluster_.trouble(); !renamed.empty())
    reasons.push_back(std::move(renamed));
  if (const auto unknown = status_.trouble(); !unknown.empty()) reasons.push_back(unknown);
  if (!overlay_trouble_.empty()) reasons.push_back(overlay_trouble_);
  if (auto hop = hop_.trouble(); !hop.empty()) reasons.push_back(std::move(hop));
  if (!probe_trouble_.empty()) reasons.push_back(probe_trouble_);
  if (waiting_.empty() && !programmed_) reasons.emplace_back("the kernel is being programmed");
  if (waiting_.empty() && !decided_) reasons.emplace_back("gateways have not been probed yet");
  reasons.insert(reasons.end(), errors_.begin(), errors_.end());
  for (const auto& silence : unforwarded_) {
    if (silence.certain) reasons.push_back(silence.text);
  }
  return reasons;
}

namespace {

std::string narrow_note(const NodeInputs& inputs, const ChoiceKey& key) {
  const auto at = inputs.path_mtu.find(key);
  return at == inputs.path_mtu.end() ? "" : fmt::format("; path MTU {}", at->second);
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

}  // namespace

void Agent::publish(const NodeInputs& inputs) {
  api::RouteAgent::Status status;
  for (const auto& [key, choice] : inputs.choices) {
    const api::ChosenGateway chosen{key.cluster,
                                    choice.ordinal ? std::int64_t{*choice.ordinal} : -1,
                                    choice.reason + narrow_note(inputs, key), choice.since};
    // Both families usually have the same gateway: one entry is enough then.
    if (!status.chosen.empty() && status.chosen.back().cluster == chosen.cluster &&
        status.chosen.back().ordinal == chosen.ordinal) {
      continue;
    }
    status.chosen.push_back(chosen);
  }
  const auto views = prober_ == nullptr ? tunnel::ProbeViews{} : prober_->views();
  for (const auto& gateway : inputs.gateways) {
    const auto at = views.find(gateway_target(gateway.ordinal));
    if (at == views.end()) continue;
    const auto& view = at->second;
    const bool self = gateway.node == inputs.self.name;
    const auto* state = !view.usable ? "down" : view.draining ? "draining" : self ? "self" : "up";
    status.gateways.push_back({gateway.ordinal, state,
                               std::chrono::duration<double, std::milli>(view.rtt).count(),
                               view.loss});
  }
  status.routes = routes_;
  status.errors = errors_;
  for (const auto& silence : unforwarded_) status.errors.push_back(silence.text);
  const auto apart = sentences(left_out_);
  status.errors.insert(status.errors.end(), apart.begin(), apart.end());
  status.closed = closed_.clusters();
  const auto reasons = not_ready();
  api::set_condition(
      conditions_,
      {"Ready", reasons.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       reasons.empty() ? "Programmed" : "Incomplete", fmt::format("{}", fmt::join(reasons, "; ")),
       0, WallTime{}},
      loop_.wall_now());
  api::set_condition(
      conditions_,
      {"OverlayAgrees", apart.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       apart.empty() ? "AllNodes" : "NodesLeftOut", fmt::format("{}", fmt::join(apart, "; ")), 0,
       WallTime{}},
      loop_.wall_now());
  api::set_condition(
      conditions_,
      {"HostServed", hostless_.empty() ? api::ConditionStatus::kTrue : api::ConditionStatus::kFalse,
       hostless_.empty() ? "AddressInside" : "NoAddressInside",
       hostless_.empty() ? std::string() : host_unserved(hostless_), 0, WallTime{}},
      loop_.wall_now());
  status.conditions = conditions_;
  status_.want(std::move(status));
}

}  // namespace cw::routeagent
