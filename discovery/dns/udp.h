// The UDP side of the server. Private to server.cc, but for tests of sockets.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

// SO_REUSEPORT, packet info, never fragmented by path MTU guesses.
[[nodiscard]] Result<UniqueFd> open_udp(const Endpoint& at);
[[nodiscard]] Result<Endpoint> local_endpoint(int fd);
// Until `stop` is readable.
void serve_udp(UniqueFd socket, int stop, const Snapshot<Table>& table, ServerCounters& counters);

}  // namespace cw::discovery::dns
