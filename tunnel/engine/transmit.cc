#include "tunnel/engine/transmit.h"

#include <poll.h>

#include <array>

namespace cw::tunnel::engine {

Transmit::Transmit(DeviceState& state, AeadChoice aead, std::size_t workers)
    : state_(state), aead_(aead), workers_(workers), turnstile_(workers == 1 ? 1 : 2 * workers) {}

void Transmit::run() {
  const auto aead = make_aead(aead_);
  bool leads = false;
  for (;;) {
    if (!leads) turnstile_.lead();
    leads = true;
    auto& batch = turnstile_.draw();
    if (!fill(batch)) break;
    // In order, too: batches without a session are staged in the order of their grants.
    batch.grant(state_);
    if (workers_ > 1 && backlog()) {
      turnstile_.hand_over();
      leads = false;
    }
    batch.seal(*aead);
    turnstile_.finish(batch, [this](TransmitBatch& due) { leave(due); });
  }
  turnstile_.hand_over();  // the next leader finds the same
}

// Reads until there is something. False: the device ends.
bool Transmit::fill(TransmitBatch& batch) {
  batch.clear();
  for (;;) {
    auto io = Tun::Io::kDone;
    while (batch.wants_more()) {
      VnetHeader header;
      std::size_t size = 0;
      io = state_.tun.read(header, batch.raw(), size);
      if (io == Tun::Io::kAgain || io == Tun::Io::kGone) break;
      if (io == Tun::Io::kDone) {
        batch.add(header, batch.raw().first(size), state_.mtu.load(std::memory_order_relaxed));
      }
    }
    if (io == Tun::Io::kGone) state_.lost_interface();
    if (state_.ending()) return false;
    if (!batch.empty()) return true;
    std::array<pollfd, 2> waiting{
        {{state_.tun.fd(), POLLIN, 0}, {state_.wake_transmit.fd(), POLLIN, 0}}};
    (void)::poll(waiting.data(), waiting.size(), -1);
  }
}

bool Transmit::backlog() const {
  pollfd more{state_.tun.fd(), POLLIN, 0};
  return ::poll(&more, 1, 0) > 0;
}

void Transmit::leave(TransmitBatch& batch) {
  if (state_.sockets_generation.load(std::memory_order_acquire) != sockets_generation_) {
    const std::lock_guard lock(state_.mutex);
    sockets_ = state_.sockets;
    sockets_generation_ = state_.sockets_generation.load(std::memory_order_relaxed);
  }
  if (sockets_ == nullptr) return;
  if (sockets_->send(batch.runs(sockets_->gso())) == SendTrouble::kSource) {
    batch.forget_sources(state_);
  }
}

}  // namespace cw::tunnel::engine
