// What an edit of a peer changes of its allowed IPs. A replacement of 5,000 prefixes by 4,999 of
// them is one removal: the device changes them under the lock that packets wait for. Pure.
#pragma once

#include <set>
#include <vector>

#include "tunnel/uapi/codec.h"

namespace cw::tunnel::engine {

// `has`: the peer's allowed IPs now. Additions come first.
[[nodiscard]] std::vector<uapi::AllowedIpEdit> allowed_ip_changes(const std::set<Prefix>& has,
                                                                  const uapi::PeerEdit& edit);

}  // namespace cw::tunnel::engine
