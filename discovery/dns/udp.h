// The UDP side of the server. Private to server.cc, but for tests of sockets.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

// SO_REUSEPORT, blocking, never fragmented by path MTU guesses; packet info where the address is a
// wildcard.
[[nodiscard]] Result<UniqueFd> open_udp(const Endpoint& at);
[[nodiscard]] Result<Endpoint> local_endpoint(int fd);
// Until `shared.stopping` is set and the socket shut down, or its receive timeout passes.
void serve_udp(int socket, Shared& shared, Counters& counters);

}  // namespace cw::discovery::dns
