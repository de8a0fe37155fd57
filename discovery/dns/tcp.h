// The TCP side of the server (RFC 7766): length-prefixed, pipelined, answered in order, one thread.
// Bounded per client and in all, connections and memory (tcp_clients.h). A connection that sends no
// whole message in time, or does not take its answers, is closed. A client that has too many
// answers waiting is not read from. Memory of one connection: at most about 256 KiB, and nothing
// while it is idle.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

[[nodiscard]] Result<UniqueFd> open_tcp(const Endpoint& at);
// Until `stop` is readable. `poll` is an epoll instance of its own.
void serve_tcp(int listener, int poll, int stop, Shared& shared, Counters& counters);

}  // namespace cw::discovery::dns
