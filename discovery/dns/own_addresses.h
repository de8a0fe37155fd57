// The addresses at which clients can reach a server that listens at `listen`: the listed ones, and
// for a wildcard the addresses of this host's interfaces.
#pragma once

#include <vector>

#include "base/prefix.h"

namespace cw::discovery::dns {

inline constexpr std::size_t kMostOwnAddresses = 16;

// `host`: the addresses of the interfaces. Loopback, link-local and multicast addresses and those
// in 240.0.0.0/4 (used by the gateways' probes) are of no use to other hosts. They are returned
// only if `listen` has them. Sorted, at most kMostOwnAddresses.
[[nodiscard]] std::vector<IpAddress> own_addresses(const std::vector<Endpoint>& listen,
                                                   const std::vector<IpAddress>& host);
// The addresses of this host's interfaces that are up now.
[[nodiscard]] std::vector<IpAddress> interface_addresses();

}  // namespace cw::discovery::dns
