#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include <cerrno>

#include "base/socket.h"
#include "tunnel/engine/udp.h"
#include "tunnel/engine/udp_sort.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace cw::tunnel::engine {

namespace {

constexpr int kReceiveBuffer = 16 << 20;  // 10 ms at 10 Gbit/s, with the kernel's bookkeeping
constexpr int kSendBuffer = 2 << 20;
// About 600 initiations, in front of the handshake queue of 1,024.
constexpr int kInitiationBuffer = 256 << 10;

enum class Purpose { kData, kInitiations };

void option(int fd, int level, int name, int value) {
  // Each option is an improvement and none is needed: kernels that lack one work without it.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

Result<UniqueFd> open_one(const IpAddress& any, std::uint16_t port, std::uint32_t fwmark,
                          Purpose purpose, bool& gro) {
  const bool v4 = any.is_v4();
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno_error(errno, "socket"));
  const int s = fd.get();
  const int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
  if (!v4) option(s, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  option(s, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
  option(s, level, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
  // As the kernel's WireGuard does: a datagram that is too large for the path is fragmented, not
  // refused.
  static_assert(IP_PMTUDISC_DONT == IPV6_PMTUDISC_DONT);
  option(s, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, IP_PMTUDISC_DONT);
  const int buffer = purpose == Purpose::kData ? kReceiveBuffer : kInitiationBuffer;
  // The second option of each pair exceeds the system's limit, but needs CAP_NET_ADMIN.
  option(s, SOL_SOCKET, SO_RCVBUF, buffer);
  option(s, SOL_SOCKET, SO_RCVBUFFORCE, buffer);
  option(s, SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  option(s, SOL_SOCKET, SO_SNDBUFFORCE, kSendBuffer);
  // Sends wait for room in the buffer, but for a second at most.
  const timeval second{1, 0};
  (void)::setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
  if (fwmark != 0 && ::setsockopt(s, SOL_SOCKET, SO_MARK, &fwmark, sizeof fwmark) != 0) {
    return fail(errno_error(errno, "fwmark"));
  }
  if (gro) {
    const int on = 1;
    gro = ::setsockopt(s, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
  }
  // This is the second socket of the port. The first was bound alone, so a taken port was an error.
  if (purpose == Purpose::kInitiations) option(s, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!bind_socket(s, {any, port})) {
    const int err = errno;
    auto error = errno_error(err, fmt::format("UDP port {}", port));
    if (err == EADDRINUSE) error.code = Errc::kExists;
    return fail(std::move(error));
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  const auto at = local_endpoint(fd);
  return at ? at->port : std::uint16_t{0};
}

// Opens a socket for the initiations that arrive at `data`'s port. None: they stay with the data.
UniqueFd split_off_initiations(int data, const IpAddress& any, std::uint16_t port, bool gro,
                               const IndexTag& tag) {
  // Set after the first bind only, or two programs could share the port.
  option(data, SOL_SOCKET, SO_REUSEPORT, 1);
  // Both sockets use `gro`: to join datagrams the kernel asks either of them.
  auto fd = open_one(any, port, 0, Purpose::kInitiations, gro);
  if (fd && sort_messages(data, fd->get(), tag)) return std::move(*fd);
  option(data, SOL_SOCKET, SO_REUSEPORT, 0);
  return {};
}

}  // namespace

Result<std::shared_ptr<UdpSockets>> UdpSockets::open(std::uint16_t port, std::uint32_t fwmark,
                                                     const UdpOptions& options) {
  // A port that is free in one family may be taken in the other. Then another one is tried.
  for (int attempt = 0;; ++attempt) {
    std::shared_ptr<UdpSockets> pair(new UdpSockets);
    bool gro4 = options.gro;
    bool gro6 = options.gro;
    auto v4 = open_one(IpAddress::v4({}), port, fwmark, Purpose::kData, gro4);
    if (!v4 && v4.error().code == Errc::kExists) return fail(v4.error());
    if (v4) pair->v4_ = std::move(*v4);
    pair->port_ = pair->v4_ ? port_of(pair->v4_.get()) : port;
    auto v6 = open_one(IpAddress::v6({}), pair->port_, fwmark, Purpose::kData, gro6);
    if (!v6) {
      if (v6.error().code == Errc::kExists && port == 0 && attempt < 100) continue;
      // A host without one of the families uses the other.
      if (v6.error().code == Errc::kExists || !pair->v4_) return fail(v6.error());
    } else {
      pair->v6_ = std::move(*v6);
      if (pair->port_ == 0) pair->port_ = port_of(pair->v6_.get());
    }
    if (options.sort && pair->v4_) {
      pair->initiations_v4_ = split_off_initiations(pair->v4_.get(), IpAddress::v4({}), pair->port_,
                                                    options.gro, *options.sort);
    }
    if (options.sort && pair->v6_) {
      pair->initiations_v6_ = split_off_initiations(pair->v6_.get(), IpAddress::v6({}), pair->port_,
                                                    options.gro, *options.sort);
    }
    pair->gso_ = options.gso;
    pair->gro_ = (gro4 || !pair->v4_) && (gro6 || !pair->v6_);
    return pair;
  }
}

Result<> UdpSockets::set_fwmark(std::uint32_t fwmark) {
  for (const int fd : {v4_.get(), v6_.get()}) {
    if (fd >= 0 && ::setsockopt(fd, SOL_SOCKET, SO_MARK, &fwmark, sizeof fwmark) != 0) {
      return fail(errno_error(errno, "fwmark"));
    }
  }
  return {};
}

}  // namespace cw::tunnel::engine
