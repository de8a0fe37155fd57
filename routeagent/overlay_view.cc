#include "routeagent/overlay_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "routeagent/store_view.h"

namespace cw::routeagent {

namespace {

constexpr const char* kLeftOut = "causeway_routeagent_overlay_left_out";

MetricLabels labels_of(const LeftOut& node) {
  return {{"node", node.node}, {"theirs", node.theirs}, {"ours", node.ours}};
}

}  // namespace

OverlayView::OverlayView(const Deps& deps, NodeCard own, std::function<void()> on_change)
    : metrics_(deps.metrics),
      config_(deps.config),
      own_(std::move(own)),
      cards_(deps.loop, deps.store, deps.random, std::move(on_change)) {}

void OverlayView::watch(std::set<std::string> gateway_nodes, bool here) {
  here = gateway_nodes.erase(config_.node) != 0 || here;
  cards_.watch(here ? std::nullopt : std::optional(std::move(gateway_nodes)));
}

Result<> OverlayView::add_to(Seen& seen, const api::Secret* secret) {
  std::set<std::string> names;
  for (auto& node : seen.others) {
    names.insert(node.name);
    const auto* card = cards_.find(node.name);
    if (card == nullptr) continue;
    node.key = card->key;
    node.overlay = card->overlay;
  }
  cards_.retain(names);
  if (const auto error = cards_.waiting()) return fail(waiting_for_store(*error));
  read_key(seen, secret);
  seen.overlay = key_;
  seen.side = *own_.overlay;
  if (config_.overlay == OverlayMode::kWireguard) seen.hop = own_.key;
  return {};
}

void OverlayView::read_key(const Seen& seen, const api::Secret* secret) {
  OverlayKey key{};
  std::string trouble;
  const auto field = secret == nullptr ? std::map<std::string, std::string>::const_iterator{}
                                       : secret->data.find(std::string(kOverlayEntry));
  if (secret != nullptr && field != secret->data.end() && field->second.size() == key.size()) {
    std::copy(field->second.begin(), field->second.end(), key.begin());
    if (key_ && *key_ != key) log_info("overlay key changed: cw-vx is made again");
    key_ = key;
  } else if (key_) {
    trouble =
        fmt::format("Secret {}/{} does not hold 32 bytes in \"{}\": the last good key is used",
                    config_.ns, kOverlaySecret, kOverlayEntry);
  } else if (!seen.gateways.empty() || seen.host.vxlan_index != 0) {
    // Without a gateway cw-vx carries nothing, so the Secret is not needed.
    trouble = fmt::format("waiting for Secret {}/{} with 32 bytes in \"{}\"", config_.ns,
                          kOverlaySecret, kOverlayEntry);
  }
  if (!trouble.empty() && trouble != trouble_) log_warn(trouble);
  trouble_ = std::move(trouble);
}

void OverlayView::record_left_out(const std::vector<LeftOut>& nodes) {
  if (nodes == left_out_) return;
  for (const auto& node : left_out_) {
    metrics_.forget(kLeftOut, labels_of(node));
    const bool still = std::any_of(nodes.begin(), nodes.end(),
                                   [&](const auto& one) { return one.node == node.node; });
    if (!still) log_info("node takes part again", {{"node", node.node}});
  }
  for (const auto& node : nodes) {
    metrics_
        .gauge(kLeftOut, "1 for a node that exchanges no frames with this one, and what differs.",
               labels_of(node))
        .set(1);
    if (std::find(left_out_.begin(), left_out_.end(), node) == left_out_.end()) {
      log_warn("node left out", {{"why", node.text}});
    }
  }
  left_out_ = nodes;
}

}  // namespace cw::routeagent
