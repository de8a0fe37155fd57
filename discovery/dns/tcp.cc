#include "discovery/dns/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>

namespace cw::discovery::dns {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxPending = 256 << 10;  // unsent answers of one client

struct Connection {
  UniqueFd fd;
  IpAddress client;
  std::vector<std::uint8_t> in;
  std::vector<std::uint8_t> out;
  // Since the last whole message: a client that trickles bytes is not busy, only slow.
  Clock::time_point active = Clock::now();
  bool closing = false;
};

// Answers every whole message in `in`. False: the client is to be cut off.
bool answer_all(Connection& c, const Table& table, unsigned& rotate, ServerCounters& counters) {
  std::size_t at = 0;
  while (c.in.size() - at >= 2) {
    const std::size_t size = static_cast<std::size_t>(c.in[at]) << 8U | c.in[at + 1];
    if (c.in.size() - at - 2 < size) break;
    const auto start = c.out.size();
    c.out.resize(start + 2 + 65535);
    const auto written = respond(table, {c.in.data() + at + 2, size}, true, rotate++,
                                 std::span(c.out).subspan(start + 2), counters);
    at += 2 + size;
    c.active = Clock::now();
    if (written == 0) {  // nothing to say to that: not a client
      c.out.resize(start);
      return false;
    }
    c.out[start] = static_cast<std::uint8_t>(written >> 8U);
    c.out[start + 1] = static_cast<std::uint8_t>(written);
    c.out.resize(start + 2 + written);
    if (c.out.size() > kMaxPending) return false;
  }
  c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

bool flush(Connection& c) {
  while (!c.out.empty()) {
    const auto n = ::send(c.fd.get(), c.out.data(), c.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    c.out.erase(c.out.begin(), c.out.begin() + n);
  }
  return true;
}

bool receive(Connection& c, const Table& table, unsigned& rotate, ServerCounters& counters) {
  std::uint8_t buffer[16384];
  const auto n = ::recv(c.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    c.closing = true;  // half-closed: what it asked before is still answered
    return !c.out.empty();
  }
  c.in.insert(c.in.end(), buffer, buffer + n);
  return answer_all(c, table, rotate, counters) && flush(c);
}

void accept_new(int listener, std::list<Connection>& connections, const TcpLimits& limits) {
  for (int i = 0; i < 64; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    UniqueFd fd(::accept4(listener, reinterpret_cast<sockaddr*>(&from), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return;
    const auto client = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
    if (!client) continue;
    const auto same =
        std::count_if(connections.begin(), connections.end(),
                      [&](const Connection& c) { return c.client == client->address; });
    if (static_cast<std::size_t>(same) >= limits.per_client) continue;  // closes it
    if (connections.size() >= limits.connections) {
      // The one that has been quiet for longest makes room.
      connections.erase(
          std::min_element(connections.begin(), connections.end(),
                           [](const auto& a, const auto& b) { return a.active < b.active; }));
    }
    auto& c = connections.emplace_back();
    c.fd = std::move(fd);
    c.client = client->address;
  }
}

}  // namespace

Result<UniqueFd> open_tcp(const Endpoint& at) {
  UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(errno, "DNS socket"));
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (at.address.is_v6()) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  sockaddr_storage address{};
  const auto size = at.to_sockaddr(address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) != 0 ||
      ::listen(fd.get(), 128) != 0) {
    return fail(errno_error(errno, fmt::format("listen: DNS over TCP at {}", at.to_string())));
  }
  return fd;
}

void serve_tcp(UniqueFd listener, int stop, TcpLimits limits, const Snapshot<Table>& published,
               ServerCounters& counters) {
  Snapshot<Table>::Reader table(published);
  std::list<Connection> connections;
  std::vector<pollfd> fds;
  unsigned rotate = 0;
  for (;;) {
    fds.assign({{stop, POLLIN, 0}, {listener.get(), POLLIN, 0}});
    for (const auto& c : connections) {
      const auto want = (c.closing ? 0 : POLLIN) | (c.out.empty() ? 0 : POLLOUT);
      fds.push_back({c.fd.get(), static_cast<short>(want), 0});
    }
    // Nobody connected: sleep until somebody is. Otherwise look for idle ones each second.
    if (::poll(fds.data(), fds.size(), connections.empty() ? -1 : 1000) < 0 && errno != EINTR)
      return;
    if (fds[0].revents != 0) return;
    std::size_t i = 2;
    for (auto at = connections.begin(); at != connections.end(); ++i) {
      const auto events = fds[i].revents;
      bool keep = Clock::now() - at->active < limits.idle && (events & (POLLERR | POLLNVAL)) == 0;
      if (keep && (events & POLLOUT) != 0) keep = flush(*at) && !(at->closing && at->out.empty());
      if (keep && (events & (POLLIN | POLLHUP)) != 0)
        keep = receive(*at, table.get(), rotate, counters);
      at = keep ? std::next(at) : connections.erase(at);
    }
    if (fds[1].revents != 0) accept_new(listener.get(), connections, limits);
  }
}

}  // namespace cw::discovery::dns
