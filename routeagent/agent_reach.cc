// Which remote clusters this node reaches, for other processes of the host (base/reach.h).
#include "routeagent/agent.h"

namespace cw::routeagent {

std::optional<std::map<std::string, bool>> Agent::reach() {
  if (!last_ || !probes_mean_something()) return std::nullopt;
  std::map<std::string, bool> reached;
  for (const auto& remote : last_->remotes) reached[remote.id] = false;
  for (const auto& gateway : gateway_inputs(*last_)) {
    // One in its hold-down counts: it carries if no other gateway does.
    if (!gateway.usable) continue;
    for (const auto& cluster : gateway.reaches) {
      if (const auto at = reached.find(cluster); at != reached.end()) at->second = true;
    }
  }
  return reached;
}

}  // namespace cw::routeagent
