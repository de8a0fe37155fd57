#include "tunnel/probe/batch.h"

namespace cw::tunnel {

unsigned DatagramBatch::receive(int fd) {
  for (unsigned n = 0; n < kMost; ++n) {
    pieces_[n] = {buffers_[n].data(), buffers_[n].size()};
    in_[n] = {};
    in_[n].msg_hdr.msg_name = &from_[n];
    in_[n].msg_hdr.msg_namelen = sizeof from_[n];
    in_[n].msg_hdr.msg_iov = &pieces_[n];
    in_[n].msg_hdr.msg_iovlen = 1;
  }
  const int count = ::recvmmsg(fd, in_.data(), kMost, MSG_DONTWAIT, nullptr);
  return count < 0 ? 0 : static_cast<unsigned>(count);
}

void DatagramBatch::reply(std::vector<std::byte> bytes, const sockaddr_storage& to,
                          socklen_t size) {
  if (replies_.size() < kMost) replies_.push_back({std::move(bytes), to, size});
}

void DatagramBatch::send_replies(int fd) {
  std::array<iovec, kMost> pieces{};
  std::array<mmsghdr, kMost> out{};
  for (std::size_t n = 0; n < replies_.size(); ++n) {
    auto& reply = replies_[n];
    pieces[n] = {reply.bytes.data(), reply.bytes.size()};
    out[n].msg_hdr.msg_name = &reply.to;
    out[n].msg_hdr.msg_namelen = reply.size;
    out[n].msg_hdr.msg_iov = &pieces[n];
    out[n].msg_hdr.msg_iovlen = 1;
  }
  for (std::size_t sent = 0; sent < replies_.size();) {
    const int done = ::sendmmsg(fd, &out[sent], static_cast<unsigned>(replies_.size() - sent), 0);
    // Skips a reply that cannot be sent: others may have another route.
    sent += done > 0 ? static_cast<std::size_t>(done) : 1;
  }
  replies_.clear();
}

}  // namespace cw::tunnel
