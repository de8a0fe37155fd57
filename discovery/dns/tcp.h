// The TCP side of the server (RFC 7766): length-prefixed, pipelined, answered in order, on one
// thread. Connections and memory are bounded per client and in total (tcp_clients.h). A connection
// without a whole message in time, or whose answers are not read, is closed. While too many answers
// wait for a client, its queries are not read. One connection uses about 256 KiB at most, and none
// while idle.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

[[nodiscard]] Result<UniqueFd> open_tcp(const Endpoint& at);
// Runs until `stop` is readable. `poll` is an epoll instance for this thread alone.
void serve_tcp(int listener, int poll, int stop, Shared& shared, Counters& counters);

}  // namespace cw::discovery::dns
