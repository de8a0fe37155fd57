#include "tunnel/engine/allowed_ip_changes.h"

namespace cw::tunnel::engine {

std::vector<uapi::AllowedIpEdit> allowed_ip_changes(const std::set<Prefix>& has,
                                                    const uapi::PeerEdit& edit) {
  auto wanted = edit.replace_allowed_ips ? std::set<Prefix>() : has;
  for (const auto& one : edit.allowed_ips) {
    if (one.remove) {
      wanted.erase(one.prefix);
    } else {
      wanted.insert(one.prefix);
    }
  }
  std::vector<uapi::AllowedIpEdit> changes;
  for (const auto& prefix : wanted) {
    if (has.count(prefix) == 0) changes.push_back({prefix, false});
  }
  for (const auto& prefix : has) {
    if (wanted.count(prefix) == 0) changes.push_back({prefix, true});
  }
  return changes;
}

}  // namespace cw::tunnel::engine
