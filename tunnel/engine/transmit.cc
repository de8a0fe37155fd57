#include "tunnel/engine/transmit.h"

namespace cw::tunnel::engine {

Transmit::Transmit(DeviceState& state, std::size_t workers)
    : state_(state), turnstile_(workers == 1 ? 1 : 2 * workers) {}

TransmitBatch* Transmit::read(bool& more) {
  auto& batch = empty_ != nullptr ? *empty_ : turnstile_.draw();
  empty_ = nullptr;
  batch.clear();
  more = true;
  while (more && batch.wants_more()) {
    VnetHeader header;
    std::size_t size = 0;
    switch (state_.tun.read(header, batch.raw(), size)) {
      case Tun::Io::kDone:
        batch.add(header, batch.raw().first(size), state_.mtu.load(std::memory_order_relaxed));
        break;
      case Tun::Io::kGone:
        state_.lost_interface();
        more = false;
        break;
      case Tun::Io::kAgain:
        more = false;
        break;
      default:
        break;  // a malformed packet
    }
  }
  if (batch.empty()) {
    empty_ = &batch;
    return nullptr;
  }
  // The leader grants, so grants are in the order of reads, and staged packets stay in that order.
  batch.grant(state_);
  return &batch;
}

void Transmit::work(TransmitBatch& batch, Aead& aead) {
  batch.seal(aead);
  turnstile_.finish(batch, [this](TransmitBatch& due) { leave(due); });
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
