// The overlay secret (node/vtep.h), and the nodes with which this one exchanges frames
// (node/overlay.h).
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "routeagent/agent.h"
#include "routeagent/agent_metrics.h"

namespace cw::routeagent {

// If the Secret is deleted or broken, the last good key stays in use.
void Agent::keep_overlay_key(const NodeInputs& inputs) {
  const auto secret = secrets_.find({config_.ns, std::string(kOverlaySecret)});
  OverlayKey key{};
  std::string trouble;
  const auto field = secret == nullptr ? std::map<std::string, std::string>::const_iterator{}
                                       : secret->data.find(std::string(kOverlayEntry));
  if (secret != nullptr && field != secret->data.end() && field->second.size() == key.size()) {
    std::copy(field->second.begin(), field->second.end(), key.begin());
    if (overlay_key_ && *overlay_key_ != key) log_info("overlay key changed: cw-vx is made again");
    overlay_key_ = key;
  } else if (overlay_key_) {
    trouble =
        fmt::format("Secret {}/{} does not hold 32 bytes in \"{}\": the last good key is used",
                    config_.ns, kOverlaySecret, kOverlayEntry);
  } else if (!inputs.gateways.empty() || inputs.host.vxlan_index != 0) {
    // Without a gateway cw-vx carries nothing, so the Secret is not needed.
    trouble = fmt::format("waiting for Secret {}/{} with 32 bytes in \"{}\"", config_.ns,
                          kOverlaySecret, kOverlayEntry);
  }
  if (!trouble.empty() && trouble != overlay_trouble_) log_warn(trouble);
  overlay_trouble_ = trouble;
}

// A gateway node exchanges frames with all nodes, a worker with gateway nodes only.
void Agent::watch_cards() {
  if (!gateways_.synced()) return;
  std::set<std::string> nodes;
  for (const auto& [key, gateway] : gateways_.items()) nodes.insert(gateway->spec.node);
  const bool here = nodes.erase(config_.node) != 0 || (last_ && is_gateway_node(*last_));
  cards_.watch(here ? std::nullopt : std::optional(std::move(nodes)));
}

Result<> Agent::read_cards(NodeInputs& inputs) {
  std::set<std::string> names;
  for (auto& node : inputs.others) {
    names.insert(node.name);
    const auto* card = cards_.find(node.name);
    if (card == nullptr) continue;
    node.key = card->key;
    node.overlay = card->overlay;
  }
  cards_.keep_only(names);
  if (const auto error = cards_.waiting()) {
    return fail(Errc::kUnavailable,
                fmt::format("waiting for the store{}{}", error->empty() ? "" : ": ", *error));
  }
  return {};
}

void Agent::note_left_out(const std::vector<LeftOut>& nodes) {
  if (nodes == left_out_) return;
  for (const auto& node : nodes) {
    if (std::find(left_out_.begin(), left_out_.end(), node) == left_out_.end()) {
      log_warn("node left out", {{"why", node.text}});
    }
  }
  for (const auto& node : left_out_) {
    const bool still = std::any_of(nodes.begin(), nodes.end(),
                                   [&](const auto& one) { return one.node == node.node; });
    if (!still) log_info("node takes part again", {{"node", node.node}});
  }
  metrics_->left_out(nodes);
  left_out_ = nodes;
}

}  // namespace cw::routeagent
