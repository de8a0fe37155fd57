#include "discovery/dns/udp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace cw::discovery::dns {

namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kQuerySize = 4096;
constexpr std::size_t kReplySize = 1280;

void set(int fd, int level, int option, int value) {
  // Options that an old kernel lacks cost a little, not correctness.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

// The reply leaves from the address the query came to: a wildcard socket serves many.
std::size_t reply_control(const msghdr& in, std::span<std::uint8_t> out) {
  for (auto* c = CMSG_FIRSTHDR(&in); c != nullptr; c = CMSG_NXTHDR(const_cast<msghdr*>(&in), c)) {
    msghdr to{};
    to.msg_control = out.data();
    to.msg_controllen = out.size();
    auto* head = CMSG_FIRSTHDR(&to);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      info.ipi_ifindex = 0;
      info.ipi_spec_dst = info.ipi_addr;
      *head = {CMSG_LEN(sizeof info), IPPROTO_IP, IP_PKTINFO};
      std::memcpy(CMSG_DATA(head), &info, sizeof info);
      return CMSG_SPACE(sizeof info);
    }
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
      *head = {CMSG_LEN(sizeof info), IPPROTO_IPV6, IPV6_PKTINFO};
      std::memcpy(CMSG_DATA(head), &info, sizeof info);
      return CMSG_SPACE(sizeof info);
    }
  }
  return 0;
}

// Buffers of one batch, allocated once a worker.
struct Batch {
  struct Slot {
    std::array<std::uint8_t, kQuerySize> query;
    std::array<std::uint8_t, kReplySize> reply;
    alignas(cmsghdr) std::array<std::uint8_t, 64> control_in;
    alignas(cmsghdr) std::array<std::uint8_t, 64> control_out;
    sockaddr_storage from;
    iovec in;
    iovec out;
  };
  std::array<Slot, kBatch> slots{};
  std::array<mmsghdr, kBatch> in{};
  std::array<mmsghdr, kBatch> out{};

  void prepare() {
    for (std::size_t i = 0; i < kBatch; ++i) {
      auto& slot = slots[i];
      slot.in = {slot.query.data(), slot.query.size()};
      auto& header = in[i].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = sizeof slot.from;
      header.msg_iov = &slot.in;
      header.msg_iovlen = 1;
      header.msg_control = slot.control_in.data();
      header.msg_controllen = slot.control_in.size();
    }
  }
};

}  // namespace

Result<UniqueFd> open_udp(const Endpoint& at) {
  const bool v4 = at.address.is_v4();
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(errno, "DNS socket"));
  set(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  set(fd.get(), SOL_SOCKET, SO_RCVBUF, 1 << 20);
  if (v4) {
    set(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
    set(fd.get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
  } else {
    set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set(fd.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
  }
  sockaddr_storage address{};
  const auto size = at.to_sockaddr(address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) != 0) {
    return fail(errno_error(errno, fmt::format("listen: DNS over UDP at {}", at.to_string())));
  }
  return fd;
}

Result<Endpoint> local_endpoint(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return fail(errno_error(errno, "getsockname"));
  }
  return Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&address), size);
}

void serve_udp(UniqueFd socket, int stop, const Snapshot<Table>& published,
               ServerCounters& counters) {
  Snapshot<Table>::Reader table(published);
  const auto batch = std::make_unique<Batch>();
  pollfd fds[2] = {{socket.get(), POLLIN, 0}, {stop, POLLIN, 0}};
  unsigned rotate = 0;
  for (;;) {
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    batch->prepare();
    const int got = ::recvmmsg(socket.get(), batch->in.data(), kBatch, 0, nullptr);
    unsigned answers = 0;
    for (int i = 0; i < got; ++i) {
      auto& slot = batch->slots[static_cast<std::size_t>(i)];
      const auto& in = batch->in[static_cast<std::size_t>(i)];
      if ((in.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        counters.dropped.fetch_add(1, std::memory_order_relaxed);
        continue;
      }
      const auto size = respond(table.get(), {slot.query.data(), in.msg_len}, false, rotate++,
                                slot.reply, counters);
      if (size == 0) continue;
      slot.out = {slot.reply.data(), size};
      auto& header = batch->out[answers++].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = in.msg_hdr.msg_namelen;
      header.msg_iov = &slot.out;
      header.msg_iovlen = 1;
      header.msg_control = slot.control_out.data();
      header.msg_controllen = reply_control(in.msg_hdr, slot.control_out);
      if (header.msg_controllen == 0) header.msg_control = nullptr;
    }
    // An answer that cannot be sent is skipped: its client asks again.
    for (unsigned sent = 0; sent < answers;) {
      const int n = ::sendmmsg(socket.get(), batch->out.data() + sent, answers - sent, 0);
      sent += n > 0 ? static_cast<unsigned>(n) : 1;
    }
  }
}

}  // namespace cw::discovery::dns
