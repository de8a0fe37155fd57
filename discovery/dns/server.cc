#include "discovery/dns/server.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/socket.h"
#include "discovery/dns/tcp.h"
#include "discovery/dns/udp.h"

namespace cw::discovery::dns {

unsigned part_for(const IpAddress& client) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const auto byte : client.bytes()) hash = (hash ^ byte) * 16777619U;
  return hash ^ hash >> 15U;
}

std::size_t respond(const Table& table, std::span<const std::uint8_t> message, const Asked& asked,
                    std::span<std::uint8_t> out, Counters& counters) {
  const auto parsed = parse_query(message);
  if (parsed.drop) {
    counters.dropped.add();
    return 0;
  }
  const auto zone = in_zone(parsed.query.name.view()) ? 0U : 1U;
  counters.queries[zone][counted_type(parsed.query.type)].add();
  auto rcode = parsed.error;
  std::size_t size = 0;
  if (asked.refuse && rcode != Rcode::kNotImp) {
    rcode = Rcode::kRefused;
    size = write_response(parsed.query, {rcode, false}, out);
    if (size > message.size()) return 0;  // a refusal must not be longer than the query
  } else if (rcode != Rcode::kNoError) {
    size = write_response(parsed.query, {rcode, false}, out);
  } else if (asked.truncate) {
    size = write_response(parsed.query, {rcode, zone == 0, true}, out);
  } else {
    const std::size_t limit =
        asked.tcp ? 65535
                  : std::min(parsed.query.udp_size,
                             parsed.query.edns ? kUdpEdns : std::uint16_t{kUdpPlain});
    size = table.answer(parsed.query, {limit, asked.rotate, asked.part, asked.tcp}, out, rcode);
    if ((out[2] & 2U) != 0) counters.truncated.add();
  }
  counters.responses[zone][std::min(static_cast<std::size_t>(rcode), kRcodes - 1)].add();
  return size;
}

namespace {

std::shared_ptr<const PrefixSet> allowed_set(std::vector<Prefix> clients,
                                             const std::vector<Prefix>& configured) {
  clients.insert(clients.end(), configured.begin(), configured.end());
  return std::make_shared<const PrefixSet>(clients);
}

}  // namespace

Shared::Shared(const ServerConfig& config)
    : allowed(allowed_set({}, config.allow_from)),
      refusals(config.refusals),
      rate(config.rate, config.seed),
      tcp(config.tcp) {}

void Server::allow(const std::vector<Prefix>& clients) {
  shared_.allowed.publish(allowed_set(clients, allow_from_));
}

namespace {

// A kernel may have no IPv6, while a chart lists the wildcards of both families.
bool lacks_family(const Endpoint& at) {
  if (!at.address.is_unspecified()) return false;  // a configured address must exist
  const UniqueFd fd(
      ::socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return !fd && errno == EAFNOSUPPORT;
}

std::vector<Endpoint> usable(std::vector<Endpoint> listen) {
  const auto missing = std::stable_partition(listen.begin(), listen.end(),
                                             [](const auto& at) { return !lacks_family(at); });
  if (missing == listen.begin()) return listen;  // none is left: opening them reports the error
  for (auto at = missing; at != listen.end(); ++at) {
    log_info("DNS server does not listen at this address: the kernel lacks its family",
             {{"address", at->to_string()}});
  }
  listen.erase(missing, listen.end());
  return listen;
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const ServerConfig& config) {
  std::unique_ptr<Server> server(new Server(config));
  server->stop_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!server->stop_) return fail(errno_error(errno, "eventfd"));
  const auto add = [&server](UniqueFd socket, bool tcp) {
    auto& thread = server->threads_.emplace_back(std::make_unique<Thread>());
    thread->socket = std::move(socket);
    thread->tcp = tcp;
    if (tcp) thread->poll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    return !tcp || thread->poll;
  };
  // Open all sockets first. If a port is taken, no thread runs yet.
  for (auto at : usable(config.listen)) {
    for (unsigned i = 0; i < std::max(1U, config.workers); ++i) {
      auto fd = open_udp(at);
      if (!fd) return fail(fd.error());
      at = local_endpoint(fd->get()).value_or(at);
      (void)add(std::move(*fd), false);  // cannot fail for UDP
    }
    auto fd = open_tcp(at);
    if (!fd) return fail(fd.error());
    if (!add(std::move(*fd), true)) return fail(errno_error(errno, "epoll"));
    server->bound_.push_back(at);
  }
  for (auto& thread : server->threads_) {
    thread->runs =
        std::thread([&shared = server->shared_, stop = server->stop_.get(), self = thread.get()] {
          if (self->tcp) {
            serve_tcp(self->socket.get(), self->poll.get(), stop, shared, self->counters);
          } else {
            serve_udp(self->socket.get(), shared, self->counters);
          }
        });
  }
  return server;
}

void Server::publish(std::shared_ptr<const Table> table) {
  held_.push_back(table);
  shared_.table.publish(std::move(table));
  // Only this list has these tables, so no thread can read them again.
  std::erase_if(held_, [](const auto& one) { return one.use_count() == 1; });
}

Server::~Server() {
  shared_.stopping = true;
  const std::uint64_t one = 1;
  if (stop_) (void)!::write(stop_.get(), &one, sizeof one);  // always succeeds on an eventfd
  for (auto& thread : threads_) {
    // Wakes a thread that waits for a datagram, although Linux returns ENOTCONN.
    if (!thread->tcp) (void)::shutdown(thread->socket.get(), SHUT_RD);
    if (thread->runs.joinable()) thread->runs.join();
  }
}

}  // namespace cw::discovery::dns
