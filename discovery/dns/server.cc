#include "discovery/dns/server.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.h"
#include "discovery/dns/tcp.h"
#include "discovery/dns/udp.h"

namespace cw::discovery::dns {

std::size_t respond(const Table& table, std::span<const std::uint8_t> message, bool tcp,
                    unsigned rotate, std::span<std::uint8_t> out, ServerCounters& counters) {
  const auto parsed = parse_query(message);
  if (parsed.drop) {
    counters.dropped.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }
  auto rcode = parsed.error;
  std::size_t size = 0;
  if (rcode != Rcode::kNoError) {
    // An opcode that we do not speak may mean the rest differently: only the header goes back.
    auto query = parsed.query;
    if (rcode == Rcode::kNotImp) query.question = {};
    size = write_response(query, {rcode, false, false, 0, 0}, {}, out);
  } else {
    const std::size_t limit =
        tcp ? 65535
            : std::min(parsed.query.udp_size,
                       parsed.query.edns ? kUdpEdns : std::uint16_t{kUdpPlain});
    size = table.answer(parsed.query, std::min(limit, out.size()), rotate, out, rcode);
    if ((out[2] & 2U) != 0) counters.truncated.fetch_add(1, std::memory_order_relaxed);
  }
  (tcp ? counters.tcp : counters.udp).fetch_add(1, std::memory_order_relaxed);
  counters.rcodes[std::min<std::size_t>(static_cast<std::size_t>(rcode), 16)].fetch_add(
      1, std::memory_order_relaxed);
  return size;
}

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config) {
  std::unique_ptr<Server> server(new Server);
  server->stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (server->stop_ < 0) return fail(errno_error(errno, "eventfd"));
  // All sockets first: a taken port must not leave half a server running.
  struct Work {
    UniqueFd fd;
    bool tcp = false;
  };
  std::vector<Work> work;
  for (auto at : config.listen) {
    for (unsigned i = 0; i < std::max(1U, config.workers); ++i) {
      auto fd = open_udp(at);
      if (!fd) return fail(fd.error());
      at = local_endpoint(fd->get()).value_or(at);
      work.push_back({std::move(*fd), false});
    }
    auto fd = open_tcp(at);
    if (!fd) return fail(fd.error());
    work.push_back({std::move(*fd), true});
    server->bound_.push_back(at);
  }
  for (auto& one : work) {
    auto* self = server.get();
    const int fd = one.fd.release();
    if (one.tcp) {
      const TcpLimits limits{config.tcp_idle, config.tcp_connections, config.tcp_per_client};
      self->threads_.emplace_back([self, fd, limits] {
        serve_tcp(UniqueFd(fd), self->stop_, limits, self->table_, self->counters_);
      });
    } else {
      self->threads_.emplace_back(
          [self, fd] { serve_udp(UniqueFd(fd), self->stop_, self->table_, self->counters_); });
    }
  }
  return server;
}

Server::~Server() {
  if (stop_ < 0) return;
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);  // an eventfd takes it
  for (auto& thread : threads_) thread.join();
  ::close(stop_);
}

}  // namespace cw::discovery::dns
