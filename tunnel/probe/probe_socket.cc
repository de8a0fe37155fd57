#include "tunnel/probe/probe_socket.h"

#include <sys/socket.h>

#include <utility>

#include "tunnel/probe/udp_socket.h"

namespace cw::tunnel {

namespace {

constexpr int kMaxTurns = 8;  // batches per turn, so that other events get theirs

}  // namespace

Result<> ProbeSocket::open(const Endpoint& local, const std::string& device) {
  auto socket = open_udp_socket(local, device, "probe socket");
  if (!socket) return fail(std::move(socket.error()));
  fd_ = std::move(socket->fd);
  device_ = socket->device;
  watch();
  return {};
}

void ProbeSocket::watch() {
  readable_ = loop_.watch(fd_.get(), FdEvent::kRead, [this] { receive(); });
}

void ProbeSocket::send(std::span<const std::byte> bytes, const Endpoint& to) const {
  sockaddr_storage at{};
  const auto size = to.to_sockaddr(at, to.address.is_link_local() ? device_ : 0);
  (void)::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&at),
                 static_cast<socklen_t>(size));
}

void ProbeSocket::reply(std::vector<std::byte> bytes, const Datagram& to) {
  batch_->reply(std::move(bytes), to.from, to.from_size);
}

void ProbeSocket::receive() {
  hooks_.on_wake();
  auto& batch = *batch_;
  unsigned requests = 0;
  for (int i = 0; i < kMaxTurns; ++i) {
    const auto count = batch.receive(fd_.get());
    for (unsigned n = 0; n < count; ++n) {
      const auto& from = batch.from(n);
      const auto size = batch.from_size(n);
      const auto source = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&from), size);
      if (source && hooks_.on_datagram({batch.datagram(n), *source, from, size})) ++requests;
    }
    batch.send_replies(fd_.get());
    if (count < DatagramBatch::kMost) break;
  }
  // Many requests: they wait for each other for a moment and cost one wake-up together.
  if (!gathering_.handled(requests, loop_.now())) return;
  readable_.reset();
  gather_timer_ = loop_.after(Gathering::kPause, [this] {
    gather_timer_.reset();
    watch();
    receive();
  });
}

}  // namespace cw::tunnel
