#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tunnel/engine/udp.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace cw::tunnel::engine {

void ReceiveBatch::Unmap::operator()(std::uint8_t* memory) const {
  (void)::munmap(memory, kMessages * kMessageSize);
}

ReceiveBatch::ReceiveBatch() {
  // Untouched anonymous pages cost nothing. So all buffers have full size, and only used pages are
  // resident.
  void* memory = ::mmap(nullptr, kMessages * kMessageSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CW_CHECK(memory != MAP_FAILED);
  memory_.reset(static_cast<std::uint8_t*>(memory));
  for (std::size_t i = 0; i < kMessages; ++i) {
    parts_[i] = {memory_.get() + i * kMessageSize, kMessageSize};
  }
}

std::size_t ReceiveBatch::receive(int fd, std::size_t most) {
  most = std::min(most, kMessages - used_);
  for (std::size_t i = used_; i < used_ + most; ++i) {
    auto& header = headers_[i].msg_hdr;
    header.msg_name = &names_[i];
    header.msg_namelen = sizeof names_[i];
    header.msg_iov = &parts_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].data();
    header.msg_controllen = controls_[i].size();
    header.msg_flags = 0;
  }
  const int n =
      ::recvmmsg(fd, headers_.data() + used_, static_cast<unsigned>(most), MSG_DONTWAIT, nullptr);
  // The errors of earlier sends (ICMP) appear here. They concern no received datagram.
  if (n <= 0) return 0;
  for (int i = 0; i < n; ++i, ++used_) {
    if (take(used_, headers_[used_], received_[count_])) ++count_;
  }
  return static_cast<std::size_t>(n);
}

bool ReceiveBatch::take(std::size_t index, const mmsghdr& header, Received& out) {
  const auto& message = header.msg_hdr;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || header.msg_len == 0) return false;
  const auto from = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&names_[index]),
                                            message.msg_namelen);
  if (!from) return false;
  out.data = {static_cast<std::uint8_t*>(parts_[index].iov_base), header.msg_len};
  out.segment = header.msg_len;
  out.from = {*from, std::nullopt, 0};
  out.ecn = 0;
  auto* walk = const_cast<msghdr*>(&message);
  for (auto* c = CMSG_FIRSTHDR(walk); c != nullptr; c = CMSG_NXTHDR(walk, c)) {
    const auto* data = CMSG_DATA(c);
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int segment = 0;
      std::memcpy(&segment, data, sizeof segment);
      if (segment > 0) out.segment = static_cast<std::size_t>(segment);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      std::array<std::uint8_t, 4> bytes;
      // The address that an answer must come from. For broadcasts it is not the destination.
      std::memcpy(bytes.data(), &info.ipi_spec_dst, bytes.size());
      out.from.local = IpAddress::v4(bytes);
      out.from.ifindex = static_cast<std::uint32_t>(info.ipi_ifindex);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      std::array<std::uint8_t, 16> bytes;
      std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
      out.from.local = IpAddress::v6(bytes);
      out.from.ifindex = info.ipi6_ifindex;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      out.ecn = *data & 3U;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int tclass = 0;
      std::memcpy(&tclass, data, sizeof tclass);
      out.ecn = static_cast<std::uint8_t>(tclass & 3);
    }
  }
  return true;
}

}  // namespace cw::tunnel::engine
