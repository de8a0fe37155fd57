#include "tunnel/engine/control.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace cw::tunnel::engine {

namespace {

UniqueFd watch_links() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_groups = RTMGRP_LINK;
  if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
    fd.reset();
  return fd;
}

// Milliseconds until `at`, rounded up, for poll().
int timeout_until(TimePoint at) {
  if (at == TimePoint::max()) return -1;
  const auto left = std::chrono::ceil<milliseconds>(at - boot_now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

}  // namespace

Control::Control(DeviceState& state) : state_(state), links_(watch_links()) { read_mtu(); }

void Control::run() {
  TimePoint next{};  // the first turn waits for nothing
  while (!state_.ending()) {
    const auto ready = wait(next);
    if (ready.v4) receive(sockets_->initiations_v4());
    if (ready.v6) receive(sockets_->initiations_v6());
    handshakes();
    timers();
    const std::lock_guard lock(state_.mutex);
    next = state_.planned;
  }
  state_.gone.notify_all();
}

Control::Ready Control::wait(TimePoint until) {
  {
    const std::lock_guard lock(state_.mutex);
    if (sockets_ != state_.sockets) sockets_ = state_.sockets;
  }
  std::array<pollfd, 4> waiting{{{state_.wake.control.fd(), POLLIN, 0},
                                 {links_.get(), POLLIN, 0},
                                 {sockets_ ? sockets_->initiations_v4() : -1, POLLIN, 0},
                                 {sockets_ ? sockets_->initiations_v6() : -1, POLLIN, 0}}};
  (void)::poll(waiting.data(), waiting.size(), timeout_until(until));
  if (waiting[0].revents != 0) state_.wake.control.clear();
  if (waiting[1].revents != 0) read_mtu();
  return {waiting[2].revents != 0, waiting[3].revents != 0};
}

// Receives only as many as the queue has room for: the length of the queue is the measure of the
// load.
void Control::receive(int fd) {
  while (state_.handshakes.room() >= ReceiveBatch::kMessages) {
    received_.clear();
    const auto got = received_.receive(fd, ReceiveBatch::kMessages);
    for (const auto& one : received_.received()) {
      for (std::size_t at = 0; at < one.data.size(); at += one.segment) {
        const auto message = one.data.subspan(at, std::min(one.segment, one.data.size() - at));
        const auto type = message_type(message);
        if (type && *type != MessageType::kData) (void)state_.handshakes.push(message, one.from);
      }
    }
    if (got < ReceiveBatch::kMessages) return;
  }
}

void Control::handshakes() {
  HandshakeQueue::Item item;
  std::size_t left = 0;
  // Bounded, so that timers are on time during a flood.
  for (int i = 0; i < 256 && state_.handshakes.pop(item, left); ++i) handshake(item, left);
  send_cookies();
  if (left != 0) state_.wake.control.set();
}

// The costly parts of a stranger's message (macs, cookies, a Diffie-Hellman) run outside of the
// mutex. So a flood costs the data path only its share of the CPU.
void Control::handshake(const HandshakeQueue::Item& item, std::size_t left) {
  const Bytes message(item.bytes.data(), item.size);
  if (message_type(message) == MessageType::kCookie) {
    state_.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime wall, Output& out) {
      protocol.on_datagram(message, item.from, now, wall, left, out);
    });
    return;
  }
  auto& cookie = cookies_[waiting_cookies_];
  switch (state_.protocol.admission().judge(message, item.from.remote, boot_now(), left,
                                            cookie.reply)) {
    case Admission::Verdict::kRefused:
      return;
    case Admission::Verdict::kAdmitted:
      return admitted(message, item.from);
    case Admission::Verdict::kCookie:
      cookie.to = item.from;
      if (++waiting_cookies_ == kCookies) send_cookies();
  }
}

void Control::admitted(Bytes message, const Path& from) {
  if (message_type(message) == MessageType::kResponse) {
    state_.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime wall, Output& out) {
      protocol.on_response(message, from, now, wall, out);
    });
    return;
  }
  std::optional<Identity> identity;
  {
    const std::lock_guard lock(state_.mutex);
    identity = state_.protocol.identity();
  }
  if (!identity) return;
  const auto caller = identify(*identity, message);
  if (!caller) return;
  state_.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime, Output& out) {
    // set() may have changed the key meanwhile.
    if (!protocol.identity() || protocol.identity()->public_key != identity->public_key) return;
    protocol.on_caller(*caller, message, from, now, out);
  });
}

void Control::send_cookies() {
  std::array<SendRun, kCookies> runs;
  for (std::size_t i = 0; i < waiting_cookies_; ++i) {
    const auto& [to, reply] = cookies_[i];
    runs[i] = {reply, reply.size(), &to, kHandshakeTos};
  }
  if (sockets_ != nullptr) (void)sockets_->send({runs.data(), waiting_cookies_});
  waiting_cookies_ = 0;
}

void Control::timers() {
  {
    const std::lock_guard lock(state_.mutex);
    if (state_.planned > boot_now()) return;
  }
  state_.with_core(out_, [&](Protocol& protocol, TimePoint now, WallTime wall, Output& out) {
    protocol.tick(now, wall, out);
    protocol.reset_soonest();
    state_.planned = protocol.next_timer().value_or(TimePoint::max());
  });
}

void Control::read_mtu() {
  std::array<char, 8192> buffer;
  while (links_ && ::recv(links_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
  const auto mtu = mtu_of(state_.tun.ifindex());
  if (!mtu) return;  // the interface moved to another namespace: keep the last MTU
  state_.mtu = *mtu;
  const std::lock_guard lock(state_.mutex);
  state_.protocol.set_mtu(*mtu);
}

}  // namespace cw::tunnel::engine
