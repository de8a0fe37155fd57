// Watches the object in which Cilium keeps its settings, and says what stands in the way of pods'
// packets. A cluster without that object, or a store that refuses to show it, has no obstacle: no
// daemon waits for it. Loop thread only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "api/store/informer.h"
#include "prefixes/obstacles.h"

namespace cw::prefixes {

class ObstaclesWatch {
 public:
  ObstaclesWatch(Loop& loop, api::Store& store, Random& random,
                 const std::function<void()>& on_change);

  // One sentence for each setting that concerns `node`. `node`: null if there is none.
  [[nodiscard]] std::vector<std::string> of(const api::Node* node,
                                            std::span<const Prefix> remotes) const;

 private:
  api::Informer<api::ConfigMapObject> cilium_;
};

}  // namespace cw::prefixes
