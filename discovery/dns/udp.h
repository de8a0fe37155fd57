// The UDP side of the server. Only for server.cc and for tests of sockets.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

// A blocking SO_REUSEPORT socket. It ignores the path MTU (IP_PMTUDISC_OMIT). A wildcard socket
// also delivers packet info.
[[nodiscard]] Result<UniqueFd> open_udp(const Endpoint& at);
// Runs until `shared.stopping` is set and the socket is shut down or its receive timeout passes.
void serve_udp(int socket, Shared& shared, Counters& counters);

}  // namespace cw::discovery::dns
