#include "tunnel/engine/workers.h"

#include <poll.h>

#include <array>

namespace cw::tunnel::engine {

Workers::Workers(DeviceState& state, AeadChoice aead, std::size_t count)
    : state_(state), aead_(aead), count_(count), transmit_(state, count), receive_(state, count) {}

void Workers::run() {
  const auto aead = make_aead(aead_);
  std::unique_lock lead(lead_, std::defer_lock);
  for (;;) {
    if (!lead.owns_lock()) lead.lock();
    const auto ready = wait();
    if (state_.ending()) return;  // the next leader finds the same
    if ((ready.v4 || ready.v6) && !receive(lead, ready, *aead)) continue;
    // Also after a receive alone: the write to the TUN may have caused an answer.
    (void)transmit(lead, *aead);
  }
}

Workers::Ready Workers::wait() {
  const auto [v4, v6] = receive_.fds();
  std::array<pollfd, 4> waiting{{{state_.wake.workers.fd(), POLLIN, 0},
                                 {state_.tun.fd(), POLLIN, 0},
                                 {v4, POLLIN, 0},
                                 {v6, POLLIN, 0}}};
  (void)::poll(waiting.data(), waiting.size(), -1);
  if (waiting[0].revents != 0 && !state_.ending()) state_.wake.workers.clear();
  return {waiting[1].revents != 0, waiting[2].revents != 0, waiting[3].revents != 0};
}

bool Workers::receive(std::unique_lock<std::mutex>& lead, const Ready& ready, Aead& aead) {
  bool more = false;
  auto* work = receive_.read(ready.v4, ready.v6, more);
  if (work == nullptr) return true;
  if (count_ > 1 && (more || ready.tun)) lead.unlock();
  receive_.work(*work, aead);
  return lead.owns_lock();
}

bool Workers::transmit(std::unique_lock<std::mutex>& lead, Aead& aead) {
  bool more = false;
  auto* batch = transmit_.read(more);
  if (batch == nullptr) return true;
  if (count_ > 1 && more) lead.unlock();
  transmit_.work(*batch, aead);
  return lead.owns_lock();
}

}  // namespace cw::tunnel::engine
