// The TCP side of the server (RFC 7766): length-prefixed, pipelined, answered in order, one thread.
// Bounded per client and in all; a connection that is idle, or does not take its answers, is
// closed.
#pragma once

#include "base/error.h"
#include "base/prefix.h"
#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery::dns {

struct TcpLimits {
  std::chrono::seconds idle{10};
  std::size_t connections = 256;
  std::size_t per_client = 16;
};

[[nodiscard]] Result<UniqueFd> open_tcp(const Endpoint& at);
// Until `stop` is readable.
void serve_tcp(UniqueFd listener, int stop, TcpLimits limits, const Snapshot<Table>& table,
               ServerCounters& counters);

}  // namespace cw::discovery::dns
