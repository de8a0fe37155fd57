#include "tunnel/engine/receive.h"

#include "base/log.h"

namespace cw::tunnel::engine {

namespace {

constexpr std::size_t kFewMessages = 4;  // super-datagrams that the caches hold
constexpr std::size_t kLarge = 8192;

}  // namespace

Receive::Receive(DeviceState& state, std::size_t workers)
    : state_(state),
      turnstile_(workers == 1 ? 1 : 2 * workers),
      joiner_({state.join.tcp, state.join.udp}) {}

Receive::Fds Receive::fds() {
  if (state_.sockets_generation.load(std::memory_order_acquire) != sockets_generation_) {
    const std::lock_guard lock(state_.mutex);
    sockets_ = state_.sockets;
    sockets_generation_ = state_.sockets_generation.load(std::memory_order_relaxed);
  }
  return sockets_ == nullptr ? Fds{} : Fds{sockets_->v4(), sockets_->v6()};
}

ReceiveWork* Receive::read(bool v4, bool v6, bool& more) {
  auto& work = empty_ != nullptr ? *empty_ : turnstile_.draw();
  empty_ = nullptr;
  work.messages.clear();
  std::size_t got = 0;
  if (v4) got += work.messages.receive(sockets_->v4(), most_);
  if (v6) got += work.messages.receive(sockets_->v6(), most_);
  more = got >= most_;
  const auto received = work.messages.received();
  if (received.empty()) {
    empty_ = &work;
    return nullptr;
  }
  std::size_t bytes = 0;
  for (const auto& one : received) bytes += one.data.size();
  most_ = bytes / received.size() > kLarge ? kFewMessages : ReceiveBatch::kMessages;
  return &work;
}

void Receive::work(ReceiveWork& work, Aead& aead) {
  work.sort(state_);
  work.grant(state_);
  work.open(aead);
  turnstile_.finish(work, [this](ReceiveWork& due) { leave(due); });
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
        // Some stable kernels refuse valid super-packets (Linux 6.6.44, 6.10.3). Do not join this
        // kind again.
        log_warn("TUN refuses super-packets: not joining any more",
                 {{"kind", item.tcp ? "tcp" : "udp"}});
        (item.tcp ? state_.join.tcp : state_.join.udp) = false;
        write_singly(item);
        joiner_.set_options({state_.join.tcp, state_.join.udp});
      }
      return;
    default:
      return;  // dropped, as on a full link
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
