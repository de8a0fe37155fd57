// What other programs on this node and in this cluster are set to that may stop pods' packets: the
// pod network's settings in the store, and packet filters in the kernel. It is told in the
// condition PodNetworkFits; nothing waits for it. Loop thread only.
#pragma once

#include <string>
#include <vector>

#include "prefixes/obstacles_watch.h"
#include "routeagent/deps.h"
#include "routeagent/node/desired.h"

namespace cw::routeagent {

class Surroundings {
 public:
  // Chains are read this often: filters change seldom, and a host may have many chains.
  static constexpr Duration kLook = std::chrono::seconds(10);

  Surroundings(const Deps& deps, std::function<void()> on_change);

  // For each pass, before what follows.
  void check(const api::Node* node, const Seen& seen);
  // What stops pods' packets, one sentence each.
  [[nodiscard]] const std::vector<std::string>& obstacles() const { return obstacles_; }
  // What may stop them.
  [[nodiscard]] const std::vector<std::string>& doubts() const { return doubts_; }

 private:
  void look();

  netlink::Kernel& kernel_;  // for jobs in background_
  Background background_;
  std::function<void()> on_change_;
  Gauge& gauge_;
  prefixes::ObstaclesWatch watch_;
  std::vector<netlink::BaseChain> chains_;
  bool looking_ = false;  // a job reads the chains
  std::vector<std::string> obstacles_;
  std::vector<std::string> doubts_;
  Handle timer_;
};

}  // namespace cw::routeagent
