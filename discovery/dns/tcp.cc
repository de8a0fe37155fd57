#include "discovery/dns/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "discovery/dns/tcp_clients.h"

namespace cw::discovery::dns {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxMessage = 65535;
constexpr std::size_t kMaxPending = 64 << 10;  // bytes of unsent answers; with more, stop reading
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::size_t kKept = 4 << 10;  // bytes that an empty buffer may keep allocated

bool full(const Connection& c) { return c.out.size() >= kMaxPending; }

void drop_front(std::vector<std::uint8_t>& buffer, std::size_t size) {
  buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  if (buffer.empty() && buffer.capacity() > kKept) buffer.shrink_to_fit();
}

class TcpThread {
 public:
  TcpThread(int listener, int poll, int stop, Shared& shared, Counters& counters)
      : listener_(listener),
        poll_(poll),
        limits_(shared.tcp),
        counters_(counters),
        table_(shared.table),
        allowed_(shared.allowed),
        clients_(shared.tcp),
        answer_(kMaxMessage) {
    (void)watch(EPOLL_CTL_ADD, stop, EPOLLIN, &stop_);
  }

  void run() {
    for (;;) {
      listen_again();
      const int got = ::epoll_wait(poll_, events_.data(), kEvents, pause());
      bool accepts = false;
      for (int i = 0; i < got; ++i) {
        const auto& event = events_[static_cast<std::size_t>(i)];
        if (event.data.ptr == &stop_) return;
        if (event.data.ptr == &listener_) {
          accepts = true;
        } else {
          handle(*static_cast<Connection*>(event.data.ptr), event.events);
        }
      }
      if (accepts) accept_new();
      close_idle();
      clients_.forget_closed();
      counters_.open.set(clients_.size());
    }
  }

 private:
  static constexpr int kEvents = 256;

  bool watch(int how, int fd, std::uint32_t events, void* what) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = what;
    return ::epoll_ctl(poll_, how, fd, &event) == 0;
  }

  // Does nothing for kAcceptPause after descriptors ran out.
  void listen_again() {
    if (listens_ || Clock::now() < accept_again_) return;
    listens_ = watch(EPOLL_CTL_ADD, listener_, EPOLLIN, &listener_);
  }
  void listen_later() {
    (void)::epoll_ctl(poll_, EPOLL_CTL_DEL, listener_, nullptr);
    listens_ = false;
    accept_again_ = Clock::now() + kAcceptPause;
  }

  // Without connections the thread sleeps until a client connects. Else it wakes up to close idle
  // ones.
  [[nodiscard]] int pause() const {
    if (!listens_) return static_cast<int>(kAcceptPause.count());
    if (clients_.size() == 0) return -1;
    return static_cast<int>(idle_pause().count());
  }
  [[nodiscard]] std::chrono::milliseconds idle_pause() const {
    return std::chrono::milliseconds(
        std::clamp<std::int64_t>(limits_.idle / std::chrono::milliseconds(4), 10, 1000));
  }
  void close_idle() {
    const auto now = Clock::now();
    if (now - idle_closed_ < idle_pause()) return;
    idle_closed_ = now;
    counters_.idle.add(clients_.close_idle(now));
  }

  void handle(Connection& c, std::uint32_t events) {
    if (!c.fd) return;  // closed earlier in this round
    if (!process(c, events)) return clients_.close(c);
    if (const auto closed = clients_.record_buffers(c); closed != 0) counters_.evicted.add(closed);
    if (c.fd) update_events(c);
  }

  void update_events(Connection& c) {
    const std::uint32_t events = (c.closing || full(c) ? 0U : std::uint32_t{EPOLLIN}) |
                                 (c.out.empty() ? 0U : std::uint32_t{EPOLLOUT});
    if (events == c.waits) return;
    c.waits = events;
    (void)watch(EPOLL_CTL_MOD, c.fd.get(), events, &c);
  }

  bool process(Connection& c, std::uint32_t events) {
    if ((events & EPOLLERR) != 0) return false;
    if ((events & EPOLLOUT) != 0 && !(flush(c) && serve(c))) return false;
    if ((events & (EPOLLIN | EPOLLHUP)) != 0 && !full(c) && !receive(c)) return false;
    return !(c.closing && c.out.empty());
  }

  // Answers the whole messages in `in`, as long as there is room for the answers. False: close the
  // connection.
  bool answer_all(Connection& c) {
    std::size_t at = 0;
    const auto begun = Clock::now();
    std::uint64_t answers = 0;
    while (c.in.size() - at >= 2 && !full(c)) {
      const std::size_t size = static_cast<std::size_t>(c.in[at]) << 8U | c.in[at + 1];
      if (c.in.size() - at - 2 < size) break;
      const auto written =
          respond(table_.get(), {c.in.data() + at + 2, size},
                  {true, false, rotate_++, false, part_for(c.client)}, answer_, counters_);
      if (written == 0) return false;  // a message without an answer: this is no DNS client
      at += 2 + size;
      ++answers;
      c.out.push_back(static_cast<std::uint8_t>(written >> 8U));
      c.out.push_back(static_cast<std::uint8_t>(written));
      c.out.insert(c.out.end(), answer_.begin(),
                   answer_.begin() + static_cast<std::ptrdiff_t>(written));
    }
    if (answers == 0) return true;
    clients_.record_activity(c, Clock::now());
    counters_.record_latency(c.active - begun, answers);
    drop_front(c.in, at);
    return true;
  }

  // Repeats until all messages are answered, or the client must read answers first.
  bool serve(Connection& c) {
    std::size_t before = 0;
    do {
      before = c.in.size();
      if (!answer_all(c) || !flush(c)) return false;
    } while (c.in.size() < before && !full(c));
    return true;
  }

  static bool flush(Connection& c) {
    std::size_t sent = 0;
    bool alive = true;
    while (sent < c.out.size()) {
      const auto n =
          ::send(c.fd.get(), c.out.data() + sent, c.out.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        alive = errno == EAGAIN;
        break;
      }
      sent += static_cast<std::size_t>(n);
    }
    if (sent > 0) drop_front(c.out, sent);
    return alive;
  }

  // Precondition: `in` has no whole message whose answer would have room.
  bool receive(Connection& c) {
    std::uint8_t buffer[16384];
    const auto n = ::recv(c.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
      c.closing = true;  // half-closed: earlier queries are still answered
      return true;
    }
    c.in.insert(c.in.end(), buffer, buffer + n);
    return serve(c);
  }

  void accept_new() {
    for (int i = 0; i < 64; ++i) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      UniqueFd fd(::accept4(listener_, reinterpret_cast<sockaddr*>(&from), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) {
        // No descriptor is left, and a client waits: close one of our connections.
        if (errno == EMFILE || errno == ENFILE) {
          if (clients_.evict()) counters_.evicted.add();
          listen_later();
        }
        return;
      }
      counters_.accepted.add();
      const auto client = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
      if (!client) continue;
      if (!allowed_.get().contains(client->address)) {
        counters_.foreign_dropped.add();
        continue;  // `fd` closes it
      }
      add(std::move(fd), client->address);
    }
  }

  void add(UniqueFd fd, const IpAddress& client) {
    bool evicted = false;
    auto* made = clients_.add(client, Clock::now(), evicted);
    if (evicted) counters_.evicted.add();
    if (made == nullptr) return counters_.refused_client.add();
    made->fd = std::move(fd);
    made->waits = EPOLLIN;
    if (!watch(EPOLL_CTL_ADD, made->fd.get(), EPOLLIN, made)) clients_.close(*made);
  }

  int listener_;
  int poll_;
  int stop_ = 0;  // only its address is used, to identify the event
  TcpLimits limits_;
  Counters& counters_;
  Snapshot<Table>::Reader table_;
  Snapshot<PrefixSet>::Reader allowed_;
  bool listens_ = false;
  Clock::time_point accept_again_{};  // after descriptors ran out
  Clock::time_point idle_closed_{};
  Clients clients_;
  std::array<epoll_event, kEvents> events_{};
  std::vector<std::uint8_t> answer_;
  unsigned rotate_ = 0;
};

}  // namespace

Result<UniqueFd> open_tcp(const Endpoint& at) {
  UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(errno, "DNS socket"));
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (at.address.is_v6()) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  sockaddr_storage address{};
  const auto size = at.to_sockaddr(address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return fail(errno_error(errno, fmt::format("listen: DNS over TCP at {}", at.to_string())));
  }
  return fd;
}

void serve_tcp(int listener, int poll, int stop, Shared& shared, Counters& counters) {
  TcpThread(listener, poll, stop, shared, counters).run();
}

}  // namespace cw::discovery::dns
