#include "tunnel/engine/device_state.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <ctime>

namespace cw::tunnel::engine {

Signal::Signal() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) { CW_CHECK(bool(fd_)); }

void Signal::set() const {
  const std::uint64_t one = 1;
  (void)!::write(fd_.get(), &one, sizeof one);  // fails only if the counter is full: then it is set
}

void Signal::clear() const {
  std::uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof count);
}

bool HandshakeQueue::push(Bytes message, const Path& from) {
  const auto most = message_type(message) == MessageType::kInitiation ? kInitiations : kSize;
  const std::lock_guard lock(mutex_);
  if (count_ >= most || message.size() > kInitiationSize) return false;
  auto& item = items_[(head_ + count_) % kSize];
  std::copy(message.begin(), message.end(), item.bytes.begin());
  item.size = message.size();
  item.from = from;
  return ++count_ == 1;
}

std::size_t HandshakeQueue::room() {
  const std::lock_guard lock(mutex_);
  return count_ < kInitiations ? kInitiations - count_ : 0;
}

bool HandshakeQueue::pop(Item& item, std::size_t& left) {
  const std::lock_guard lock(mutex_);
  if (count_ == 0) return false;
  item = items_[head_];
  head_ = (head_ + 1) % kSize;
  left = --count_;
  return true;
}

void DeviceState::lost_interface() {
  gone.store(true, std::memory_order_release);
  stop.store(true, std::memory_order_release);
  wake.control.set();
  wake.workers.set();
}

TimePoint boot_now() {
  timespec t{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &t);
  return TimePoint(seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

WallTime wall_now() { return std::chrono::system_clock::now(); }

void send_output(UdpSockets* sockets, Output& out) {
  for (const auto& datagram : out.datagrams) {
    const SendRun run{datagram.bytes, datagram.bytes.size(), &datagram.to, datagram.tos};
    if (sockets != nullptr) (void)sockets->send({&run, 1});
  }
  out.datagrams.clear();
  out.urgent = false;
}

}  // namespace cw::tunnel::engine
