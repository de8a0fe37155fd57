// Under which addresses a server that listens at `listen` can be asked: the listed ones, and for a
// wildcard those of this host's interfaces.
#pragma once

#include <vector>

#include "base/prefix.h"

namespace cw::discovery::dns {

inline constexpr std::size_t kMostOwnAddresses = 16;

// `host`: the addresses of the interfaces. Loopback, link-local and multicast addresses and those
// of 240.0.0.0/4 (which the gateways' probes use) are no server's for others; they count only if
// they are listed. Sorted, at most kMostOwnAddresses.
[[nodiscard]] std::vector<IpAddress> own_addresses(const std::vector<Endpoint>& listen,
                                                   const std::vector<IpAddress>& host);
// The addresses of this host's interfaces that are up, now.
[[nodiscard]] std::vector<IpAddress> interface_addresses();

}  // namespace cw::discovery::dns
