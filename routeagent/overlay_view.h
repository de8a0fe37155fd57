// This node's part in the overlay: the key of cw-vx from the overlay secret (node/vtep.h), and the
// nodes with which it exchanges frames (node/overlay.h). Loop thread only.
#pragma once

#include "api/types/secret.h"
#include "routeagent/deps.h"
#include "routeagent/node_cards.h"

namespace cw::routeagent {

class OverlayView {
 public:
  // `own`: what this node publishes. `on_change`: add_to() may add something else.
  OverlayView(const Deps& deps, NodeCard own, std::function<void()> on_change);

  // Watches what other nodes publish: a gateway node exchanges frames with all nodes, a worker with
  // gateway nodes only. `here`: this node is one.
  void watch(std::set<std::string> gateway_nodes, bool here);
  // Adds the key and what all nodes publish. `secret`: null if there is none. If it is deleted or
  // broken, the last good key stays in use. An error: the store has not answered yet.
  [[nodiscard]] Result<> add_to(Seen& seen, const api::Secret* secret);
  // Nodes with which this one exchanges no frames, as of the last pass.
  void record_left_out(const std::vector<LeftOut>& nodes);
  [[nodiscard]] const std::vector<LeftOut>& left_out() const { return left_out_; }
  // What is wrong with the secret; empty: nothing.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  void read_key(const Seen& seen, const api::Secret* secret);

  Metrics& metrics_;
  const Config& config_;
  NodeCard own_;
  NodeCards cards_;
  std::optional<OverlayKey> key_;  // the last good one
  std::string trouble_;
  std::vector<LeftOut> left_out_;
};

}  // namespace cw::routeagent
