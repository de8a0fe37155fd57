#include "discovery/dns/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <span>

#include "base/socket.h"
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

// What a thread's epoll instance waits for.
class Poll {
 public:
  explicit Poll(int poll) : poll_(poll) {}
  // False: there is no memory for it.
  [[nodiscard]] bool add(int fd, std::uint32_t events, void* what) const {
    return control(EPOLL_CTL_ADD, fd, events, what);
  }
  void change(int fd, std::uint32_t events, void* what) const {
    (void)control(EPOLL_CTL_MOD, fd, events, what);
  }
  void remove(int fd) const { (void)control(EPOLL_CTL_DEL, fd, 0, nullptr); }
  [[nodiscard]] int wait(std::span<epoll_event> events, int timeout_ms) const {
    return ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), timeout_ms);
  }

 private:
  [[nodiscard]] bool control(int how, int fd, std::uint32_t events, void* what) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = what;
    return ::epoll_ctl(poll_, how, fd, &event) == 0;
  }
  int poll_;
};

// The listening socket. Once descriptors ran out, it does not listen for kAcceptPause.
class Listener {
 public:
  Listener(int fd, const Poll& poll) : fd_(fd), poll_(poll) {}

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool listens() const { return listens_; }
  void listen() {
    if (listens_ || Clock::now() < again_) return;
    listens_ = poll_.add(fd_, EPOLLIN, this);
  }
  void pause() {
    poll_.remove(fd_);
    listens_ = false;
    again_ = Clock::now() + kAcceptPause;
  }

 private:
  int fd_;
  Poll poll_;
  bool listens_ = false;
  Clock::time_point again_{};
};

// Answers messages out of the newest table.
class Answerer {
 public:
  Answerer(Shared& shared, Counters& counters) : counters_(counters), table_(shared.table) {}

  // The answer, valid until the next call. Empty: the message gets none.
  [[nodiscard]] std::span<const std::uint8_t> answer(std::span<const std::uint8_t> message,
                                                     const IpAddress& client) {
    const auto written = respond(
        table_.get(), message, {true, false, rotate_++, false, part_for(client)}, out_, counters_);
    return {out_.data(), written};
  }

 private:
  Counters& counters_;
  Snapshot<Table>::Reader table_;
  std::vector<std::uint8_t> out_ = std::vector<std::uint8_t>(kMaxMessage);
  unsigned rotate_ = 0;
};

class TcpThread {
 public:
  TcpThread(int listener, int poll, int stop, Shared& shared, Counters& counters)
      : poll_(poll),
        listener_(listener, poll_),
        idle_pause_(
            std::clamp<std::int64_t>(shared.tcp.idle / std::chrono::milliseconds(4), 10, 1000)),
        counters_(counters),
        allowed_(shared.allowed),
        clients_(shared.tcp),
        answerer_(shared, counters) {
    (void)poll_.add(stop, EPOLLIN, &stop_);
  }

  void run() {
    for (;;) {
      listener_.listen();
      const int got = poll_.wait(events_, pause());
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

  // Without connections the thread sleeps until a client connects. Else it wakes up to close idle
  // ones.
  [[nodiscard]] int pause() const {
    if (!listener_.listens()) return static_cast<int>(kAcceptPause.count());
    if (clients_.size() == 0) return -1;
    return static_cast<int>(idle_pause_.count());
  }
  void close_idle() {
    const auto now = Clock::now();
    if (now - idle_closed_ < idle_pause_) return;
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
    poll_.change(c.fd.get(), events, &c);
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
      const auto answer = answerer_.answer({c.in.data() + at + 2, size}, c.client);
      if (answer.empty()) return false;  // a message without an answer: this is no DNS client
      at += 2 + size;
      ++answers;
      c.out.push_back(static_cast<std::uint8_t>(answer.size() >> 8U));
      c.out.push_back(static_cast<std::uint8_t>(answer.size()));
      c.out.insert(c.out.end(), answer.begin(), answer.end());
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
      UniqueFd fd(::accept4(listener_.fd(), reinterpret_cast<sockaddr*>(&from), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) {
        // No descriptor is left, and a client waits: close one of our connections.
        if (errno == EMFILE || errno == ENFILE) {
          if (clients_.evict()) counters_.evicted.add();
          listener_.pause();
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
    if (!poll_.add(made->fd.get(), EPOLLIN, made)) clients_.close(*made);
  }

  Poll poll_;
  Listener listener_;
  int stop_ = 0;  // only its address is used, to identify the event
  std::chrono::milliseconds idle_pause_;
  Clock::time_point idle_closed_{};
  Counters& counters_;
  Snapshot<PrefixSet>::Reader allowed_;
  Clients clients_;
  Answerer answerer_;
  std::array<epoll_event, kEvents> events_{};
};

}  // namespace

Result<UniqueFd> open_tcp(const Endpoint& at) {
  UniqueFd fd(::socket(at.address.is_v4() ? AF_INET : AF_INET6,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno_error(errno, "DNS socket"));
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (at.address.is_v6()) (void)::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (!bind_socket(fd.get(), at) || ::listen(fd.get(), SOMAXCONN) != 0) {
    return fail(errno_error(errno, fmt::format("listen: DNS over TCP at {}", at.to_string())));
  }
  return fd;
}

void serve_tcp(int listener, int poll, int stop, Shared& shared, Counters& counters) {
  TcpThread(listener, poll, stop, shared, counters).run();
}

}  // namespace cw::discovery::dns
