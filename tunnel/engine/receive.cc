#include "tunnel/engine/receive.h"

#include <poll.h>

#include <algorithm>
#include <array>

#include "base/log.h"

namespace cw::tunnel::engine {

namespace {

constexpr std::size_t kFewMessages = 4;  // of super-datagrams: a batch that the caches hold
constexpr std::size_t kLarge = 8192;

}  // namespace

Receive::Receive(DeviceState& state, AeadChoice aead, std::size_t workers)
    : state_(state),
      aead_(aead),
      workers_(workers),
      turnstile_(workers == 1 ? 1 : 2 * workers),
      joiner_({state.join_tcp, state.join_udp}) {}

void Receive::run() {
  const auto aead = make_aead(aead_);
  bool leads = false;
  for (;;) {
    if (!leads) turnstile_.lead();
    leads = true;
    auto& work = turnstile_.draw();
    if (!fill(work)) break;
    if (workers_ > 1 && backlog_) {
      turnstile_.hand_over();
      leads = false;
    }
    work.sort(state_);
    work.grant(state_);
    work.open(*aead);
    turnstile_.finish(work, [this](ReceiveWork& due) { leave(due); });
  }
  turnstile_.hand_over();  // the next leader finds the same
}

// Receives until there is something. False: the device ends.
bool Receive::fill(ReceiveWork& work) {
  work.messages.clear();
  for (;;) {
    if (state_.sockets_generation.load(std::memory_order_acquire) != sockets_generation_) {
      const std::lock_guard lock(state_.mutex);
      sockets_ = state_.sockets;
      sockets_generation_ = state_.sockets_generation.load(std::memory_order_relaxed);
    }
    if (state_.ending()) return false;
    std::array<pollfd, 3> waiting{{{state_.wake_receive.fd(), POLLIN, 0},
                                   {sockets_ ? sockets_->v4() : -1, POLLIN, 0},
                                   {sockets_ ? sockets_->v6() : -1, POLLIN, 0}}};
    (void)::poll(waiting.data(), waiting.size(), -1);
    if (waiting[0].revents != 0 && !state_.ending()) state_.wake_receive.clear();
    std::size_t got = 0;
    for (const auto& ready : {waiting[1], waiting[2]}) {
      if (ready.revents != 0) got += work.messages.receive(ready.fd, most_);
    }
    if (work.messages.received().empty()) continue;
    backlog_ = got >= most_;
    std::size_t bytes = 0;
    for (const auto& one : work.messages.received()) bytes += one.data.size();
    most_ =
        bytes / work.messages.received().size() > kLarge ? kFewMessages : ReceiveBatch::kMessages;
    return true;
  }
}

void Receive::leave(ReceiveWork& work) {
  work.commit(state_, joiner_);
  joiner_.finish();
  for (auto& item : joiner_.items()) write(item);
  joiner_.clear();
}

void Receive::write(SuperPacket& item) {
  switch (state_.tun.write(item.vnet, item.pieces)) {
    case Tun::Io::kGone:
      return state_.lost_interface();
    case Tun::Io::kInvalid:
      if (item.segments > 1) {
        // Some stable kernels refuse valid super-packets (Linux 6.6.44, 6.10.3): no more of them.
        log_warn("TUN refuses super-packets: not joining any more",
                 {{"kind", item.tcp ? "tcp" : "udp"}});
        (item.tcp ? state_.join_tcp : state_.join_udp) = false;
        write_singly(item);
        joiner_.set_options({state_.join_tcp, state_.join_udp});
      }
      return;
    default:
      return;  // dropped, as a full link drops
  }
}

void Receive::write_singly(const SuperPacket& item) {
  gathered_.clear();
  for (const auto& piece : item.pieces) {
    gathered_.insert(gathered_.end(), piece.begin(), piece.end());
  }
  constexpr std::size_t kMost = 1024;
  const std::size_t stride = item.header_size + item.vnet.gso_size;
  std::vector<std::uint8_t> out(kMost * stride);
  std::vector<std::uint16_t> lengths(kMost);
  const auto count = split(item.vnet, gathered_, out, stride, lengths);
  for (std::size_t i = 0; count && i < *count; ++i) {
    const auto piece = std::span(out).subspan(i * stride, lengths[i]);
    (void)state_.tun.write({}, {&piece, 1});
  }
}

}  // namespace cw::tunnel::engine
