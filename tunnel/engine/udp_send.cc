#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "tunnel/engine/udp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace cw::tunnel::engine {

namespace {

constexpr int kReceiveBuffer = 16 << 20;  // 10 ms at 10 Gbit/s, and the kernel's bookkeeping
constexpr int kSendBuffer = 2 << 20;

void option(int fd, int level, int name, int value) {
  // Each is an improvement, none is needed: kernels without it go on without.
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

Result<UniqueFd> open_one(const IpAddress& any, std::uint16_t port, std::uint32_t fwmark,
                          bool& gro) {
  const bool v4 = any.is_v4();
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno_error(errno, "socket"));
  const int s = fd.get();
  const int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
  if (!v4) option(s, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  option(s, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1);
  option(s, level, v4 ? IP_RECVTOS : IPV6_RECVTCLASS, 1);
  // Like the kernel's WireGuard: what is too large for the path is fragmented, not refused.
  option(s, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
         v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT);
  option(s, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  option(s, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer);
  option(s, SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  option(s, SOL_SOCKET, SO_SNDBUFFORCE, kSendBuffer);
  const timeval second{1, 0};
  (void)::setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof second);
  if (fwmark != 0 && ::setsockopt(s, SOL_SOCKET, SO_MARK, &fwmark, sizeof fwmark) != 0) {
    return fail(errno_error(errno, "fwmark"));
  }
  if (gro) {
    const int on = 1;
    gro = ::setsockopt(s, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
  }
  sockaddr_storage name{};
  const auto size = Endpoint{any, port}.to_sockaddr(name);
  if (::bind(s, reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(size)) != 0) {
    const int err = errno;
    auto error = errno_error(err, fmt::format("UDP port {}", port));
    if (err == EADDRINUSE) error.code = Errc::kExists;
    return fail(std::move(error));
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  const auto at = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&name), size);
  return at ? at->port : std::uint16_t{0};
}

template <typename T>
void add_control(msghdr& message, std::size_t& used, int level, int type, const T& value) {
  auto* c = reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) + used);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  used += CMSG_SPACE(sizeof value);
}

struct Slot {
  sockaddr_storage name;
  iovec part;
  alignas(cmsghdr) std::array<char, 128> control;
};

// One message for `bytes` of `run`, from its sticky source if `sticky`.
void prepare(mmsghdr& out, Slot& slot, const SendRun& run, std::span<const std::uint8_t> bytes,
             bool sticky) {
  const auto& path = *run.to;
  const bool v4 = path.remote.address.is_v4();
  auto& message = out.msg_hdr;
  message = {};
  slot.name = {};
  message.msg_name = &slot.name;
  const bool scoped = path.remote.address.is_link_local();
  message.msg_namelen = static_cast<socklen_t>(
      path.remote.to_sockaddr(slot.name, scoped ? path.ifindex : std::uint32_t{0}));
  slot.part = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  message.msg_iov = &slot.part;
  message.msg_iovlen = 1;
  slot.control.fill(0);
  message.msg_control = slot.control.data();
  std::size_t used = 0;
  if (run.segment < bytes.size()) {
    add_control(message, used, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(run.segment));
  }
  if (run.tos != 0) {
    const int tos = run.tos;
    v4 ? add_control(message, used, IPPROTO_IP, IP_TOS, tos)
       : add_control(message, used, IPPROTO_IPV6, IPV6_TCLASS, tos);
  }
  // The address only, never the interface: routes may change, the source may not.
  if (sticky && path.local && path.local->family() == path.remote.address.family()) {
    if (v4) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, path.local->bytes().data(), 4);
      add_control(message, used, IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      std::memcpy(&info.ipi6_addr, path.local->bytes().data(), 16);
      if (scoped || path.local->is_link_local()) info.ipi6_ifindex = path.ifindex;
      add_control(message, used, IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }
  message.msg_controllen = used;
  if (used == 0) message.msg_control = nullptr;
}

}  // namespace

Result<std::shared_ptr<UdpSockets>> UdpSockets::open(std::uint16_t port, std::uint32_t fwmark,
                                                     const UdpOptions& options) {
  // A free port of one family may be taken in the other: another one, then.
  for (int attempt = 0;; ++attempt) {
    std::shared_ptr<UdpSockets> pair(new UdpSockets);
    bool gro4 = options.gro;
    bool gro6 = options.gro;
    auto v4 = open_one(IpAddress::v4({}), port, fwmark, gro4);
    if (!v4 && v4.error().code == Errc::kExists) return fail(v4.error());
    if (v4) pair->v4_ = std::move(*v4);
    pair->port_ = pair->v4_ ? port_of(pair->v4_.get()) : port;
    auto v6 = open_one(IpAddress::v6({}), pair->port_, fwmark, gro6);
    if (!v6) {
      if (v6.error().code == Errc::kExists && port == 0 && attempt < 100) continue;
      // A host without one of the families gets the other.
      if (v6.error().code == Errc::kExists || !pair->v4_) return fail(v6.error());
    } else {
      pair->v6_ = std::move(*v6);
      if (pair->port_ == 0) pair->port_ = port_of(pair->v6_.get());
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

SendTrouble UdpSockets::send(std::span<const SendRun> runs) {
  constexpr std::size_t kAtOnce = 32;
  thread_local std::array<Slot, kAtOnce> slots;
  thread_local std::array<mmsghdr, kAtOnce> headers;
  auto trouble = SendTrouble::kNone;
  std::size_t first = 0;
  while (first < runs.size()) {
    // Consecutive runs of one family in one call.
    const bool v4 = runs[first].to->remote.address.is_v4();
    const int fd = v4 ? v4_.get() : v6_.get();
    std::size_t count = 0;
    while (count < kAtOnce && first + count < runs.size() &&
           runs[first + count].to->remote.address.is_v4() == v4) {
      const auto& run = runs[first + count];
      prepare(headers[count], slots[count], run, run.bytes, true);
      ++count;
    }
    std::size_t done = 0;
    while (fd >= 0 && done < count) {
      const int n = ::sendmmsg(fd, headers.data() + done, static_cast<unsigned>(count - done), 0);
      if (n > 0) {
        done += static_cast<std::size_t>(n);
        continue;
      }
      if (n < 0 && errno == EINTR) continue;
      // The first one failed: by itself, and the others after it.
      const auto& run = runs[first + done];
      if (errno == EIO && run.segment < run.bytes.size()) {
        gso_ = false;  // this interface has no checksum offload, which segmentation needs
        log_warn("UDP segmentation offload is off", {{"reason", "EIO"}});
      }
      const auto result = send_slowly(run);
      if (result != SendTrouble::kNone) trouble = result;
      ++done;
    }
    first += count;
  }
  return trouble;
}

// Datagram by datagram, without a sticky source where that is the problem. EMSGSIZE or EINVAL with
// segmentation: larger than the path's MTU; without, the kernel fragments.
SendTrouble UdpSockets::send_slowly(const SendRun& run) {
  auto trouble = SendTrouble::kNone;
  for (std::size_t at = 0; at < run.bytes.size(); at += run.segment) {
    const auto result =
        send_one(run, run.bytes.subspan(at, std::min(run.segment, run.bytes.size() - at)));
    if (result != SendTrouble::kNone) trouble = result;
  }
  return trouble;
}

SendTrouble UdpSockets::send_one(const SendRun& run, std::span<const std::uint8_t> datagram) {
  const int fd = run.to->remote.address.is_v4() ? v4_.get() : v6_.get();
  if (fd < 0) return SendTrouble::kOther;
  Slot slot;
  mmsghdr header;
  auto one = run;
  one.segment = datagram.size();
  prepare(header, slot, one, datagram, true);
  if (::sendmsg(fd, &header.msg_hdr, 0) >= 0) return SendTrouble::kNone;
  const bool source =
      errno == EINVAL || errno == EADDRNOTAVAIL || errno == ENETUNREACH || errno == EHOSTUNREACH;
  if (!source || !run.to->local) return SendTrouble::kOther;
  prepare(header, slot, one, datagram, false);
  return ::sendmsg(fd, &header.msg_hdr, 0) >= 0 ? SendTrouble::kSource : SendTrouble::kOther;
}

}  // namespace cw::tunnel::engine
