#include "prefixes/obstacles_watch.h"

namespace cw::prefixes {

ObstaclesWatch::ObstaclesWatch(Loop& loop, api::Store& store, Random& random,
                               const std::function<void()>& on_change)
    : cilium_(loop, store, random, on_change, kCiliumConfigNamespace, kCiliumConfigName) {
  cilium_.set_optional();
}

std::vector<std::string> ObstaclesWatch::of(const api::Node* node,
                                            std::span<const Prefix> remotes) const {
  std::vector<std::string> all;
  if (remotes.empty()) return all;
  for (const auto& [key, config] : cilium_.items()) {
    auto found = cilium_obstacles(*config, remotes);
    all.insert(all.end(), found.begin(), found.end());
  }
  if (node != nullptr) {
    auto found = ovn_obstacles(*node);
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

}  // namespace cw::prefixes
