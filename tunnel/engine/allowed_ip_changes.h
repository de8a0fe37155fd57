// The smallest list of changes that an edit makes to a peer's allowed IPs. A replacement of 5,000
// prefixes by 4,999 of them is one removal. Packets wait while the device changes prefixes under
// its lock, so the list must be short. Pure.
#pragma once

#include <set>
#include <vector>

#include "tunnel/uapi/codec.h"

namespace cw::tunnel::engine {

// `has`: the peer's allowed IPs now. Additions come before removals.
[[nodiscard]] std::vector<uapi::AllowedIpEdit> allowed_ip_changes(const std::set<Prefix>& has,
                                                                  const uapi::PeerEdit& edit);

}  // namespace cw::tunnel::engine
