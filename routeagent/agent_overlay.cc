// What the agent knows of the overlay's secret (node/vtep.h).
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "routeagent/agent.h"

namespace cw::routeagent {

// A Secret that went away or went bad takes nothing away: the last good key stays in use.
void Agent::keep_overlay_key(const NodeInputs& inputs) {
  const auto secret = secrets_.find({config_.ns, std::string(kOverlaySecret)});
  OverlayKey key{};
  std::string trouble;
  const auto field = secret == nullptr ? std::map<std::string, std::string>::const_iterator{}
                                       : secret->data.find(std::string(kOverlayField));
  if (secret != nullptr && field != secret->data.end() && field->second.size() == key.size()) {
    std::copy(field->second.begin(), field->second.end(), key.begin());
    if (overlay_key_ && *overlay_key_ != key) log_info("overlay key changed: cw-vx is made again");
    overlay_key_ = key;
  } else if (overlay_key_) {
    trouble =
        fmt::format("Secret {}/{} does not hold 32 bytes in \"{}\": the last good key is used",
                    config_.ns, kOverlaySecret, kOverlayField);
  } else if (!inputs.gateways.empty() || inputs.host.vxlan_index != 0) {
    // Without gateways cw-vx serves nothing.
    trouble = fmt::format("waiting for Secret {}/{} with 32 bytes in \"{}\"", config_.ns,
                          kOverlaySecret, kOverlayField);
  }
  if (!trouble.empty() && trouble != overlay_trouble_) log_warn(trouble);
  overlay_trouble_ = trouble;
}

}  // namespace cw::routeagent
