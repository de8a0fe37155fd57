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

namespace cw::tunnel::engine {

namespace {

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

// Prepares one message for `bytes` of `run`, from its sticky source if `sticky`.
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
  // Sets the address and not the interface: routes may change, the source must not.
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

SendTrouble UdpSockets::send(std::span<const SendRun> runs) {
  constexpr std::size_t kAtOnce = 32;
  thread_local std::array<Slot, kAtOnce> slots;
  thread_local std::array<mmsghdr, kAtOnce> headers;
  auto trouble = SendTrouble::kNone;
  std::size_t first = 0;
  while (first < runs.size()) {
    // Consecutive runs of one family go in one call.
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
      // The first run failed. It goes alone, and the loop continues with the others.
      const auto& run = runs[first + done];
      if (errno == EIO && run.segment < run.bytes.size()) {
        gso_ = false;  // the interface lacks checksum offload, which segmentation needs
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

// Sends datagram by datagram, without a sticky source if that is the problem. With segmentation,
// EMSGSIZE or EINVAL means larger than the path's MTU; single datagrams the kernel fragments.
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
