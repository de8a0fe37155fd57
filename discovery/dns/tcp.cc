#include "discovery/dns/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>

namespace cw::discovery::dns {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxMessage = 65535;
constexpr std::size_t kMaxPending = 64 << 10;  // unsent answers: more, and we stop reading
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::size_t kKept = 4 << 10;  // what an empty buffer may keep allocated

struct Connection {
  UniqueFd fd;
  IpAddress client;
  std::vector<std::uint8_t> in;
  std::vector<std::uint8_t> out;
  // Since the last whole message: a client that trickles bytes is not busy, only slow.
  Clock::time_point active = Clock::now();
  bool closing = false;  // it said all it had to say

  [[nodiscard]] bool full() const { return out.size() >= kMaxPending; }
};

void drop_front(std::vector<std::uint8_t>& buffer, std::size_t size) {
  buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
  if (buffer.empty() && buffer.capacity() > kKept) buffer.shrink_to_fit();
}

class Serving {
 public:
  Serving(int listener, int stop, Shared& shared, Counters& counters)
      : listener_(listener),
        stop_(stop),
        limits_(shared.tcp),
        counters_(counters),
        table_(shared.table),
        allowed_(shared.allowed),
        answer_(kMaxMessage) {}

  void run() {
    while (wait()) {
      if (fds_[0].revents != 0) return;
      std::size_t i = 2;
      for (auto at = connections_.begin(); at != connections_.end(); ++i) {
        at = keep(*at, fds_[i].revents) ? std::next(at) : connections_.erase(at);
      }
      if (fds_[1].revents != 0) accept_new();
      counters_.open.set(connections_.size());
    }
  }

 private:
  bool wait() {
    const bool accepts = Clock::now() >= accept_again_;
    fds_.assign({{stop_, POLLIN, 0}, {accepts ? listener_ : -1, POLLIN, 0}});
    for (const auto& c : connections_) {
      const auto want = (c.closing || c.full() ? 0 : POLLIN) | (c.out.empty() ? 0 : POLLOUT);
      fds_.push_back({c.fd.get(), static_cast<short>(want), 0});
    }
    // Nobody connected: sleep until somebody is. Otherwise look for idle ones now and then.
    const auto pause =
        std::clamp<std::int64_t>(limits_.idle / std::chrono::milliseconds(4), 10, 1000);
    return ::poll(fds_.data(), fds_.size(),
                  connections_.empty() && accepts ? -1 : static_cast<int>(pause)) >= 0 ||
           errno == EINTR;
  }

  bool keep(Connection& c, short events) {
    if (Clock::now() - c.active >= limits_.idle) {
      counters_.idle.add();
      return false;
    }
    if ((events & (POLLERR | POLLNVAL)) != 0) return false;
    if ((events & POLLOUT) != 0 && !(flush(c) && serve(c))) return false;
    if ((events & (POLLIN | POLLHUP)) != 0 && !c.full() && !receive(c)) return false;
    return !(c.closing && c.out.empty());
  }

  // Answers the whole messages in `in` while their answers find room. False: cut it off.
  bool answer_all(Connection& c) {
    std::size_t at = 0;
    const auto begun = Clock::now();
    std::uint64_t answers = 0;
    while (c.in.size() - at >= 2 && !c.full()) {
      const std::size_t size = static_cast<std::size_t>(c.in[at]) << 8U | c.in[at + 1];
      if (c.in.size() - at - 2 < size) break;
      const auto written = respond(table_.get(), {c.in.data() + at + 2, size},
                                   {true, false, rotate_++}, answer_, counters_);
      if (written == 0) return false;  // nothing to say to that: not a client
      at += 2 + size;
      ++answers;
      c.out.push_back(static_cast<std::uint8_t>(written >> 8U));
      c.out.push_back(static_cast<std::uint8_t>(written));
      c.out.insert(c.out.end(), answer_.begin(),
                   answer_.begin() + static_cast<std::ptrdiff_t>(written));
    }
    if (answers == 0) return true;
    c.active = Clock::now();
    counters_.took(c.active - begun, answers);
    drop_front(c.in, at);
    return true;
  }

  // Until all is answered or the client has to take something first.
  bool serve(Connection& c) {
    std::size_t before = 0;
    do {
      before = c.in.size();
      if (!answer_all(c) || !flush(c)) return false;
    } while (c.in.size() < before && !c.full());
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

  // `in` never has a whole message when this is called and there is room for its answer.
  bool receive(Connection& c) {
    std::uint8_t buffer[16384];
    const auto n = ::recv(c.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
      c.closing = true;  // half-closed: what it asked before is still answered
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
        // No descriptor is left for it, and it waits: one of ours must go.
        if (errno == EMFILE || errno == ENFILE) {
          if (!connections_.empty()) evict();
          accept_again_ = Clock::now() + kAcceptPause;
        }
        return;
      }
      counters_.accepted.add();
      const auto client = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
      if (!client) continue;
      if (!allowed_.get().contains(client->address)) {
        counters_.foreign_dropped.add();
        continue;  // closes it
      }
      const auto same =
          std::count_if(connections_.begin(), connections_.end(),
                        [&](const Connection& c) { return c.client == client->address; });
      if (static_cast<std::size_t>(same) >= limits_.per_client) {
        counters_.refused_client.add();
        continue;  // closes it
      }
      if (connections_.size() >= limits_.connections) evict();
      auto& c = connections_.emplace_back();
      c.fd = std::move(fd);
      c.client = client->address;
    }
  }

  // The one that has been quiet for longest makes room.
  void evict() {
    counters_.evicted.add();
    connections_.erase(
        std::min_element(connections_.begin(), connections_.end(),
                         [](const auto& a, const auto& b) { return a.active < b.active; }));
  }

  int listener_;
  int stop_;
  TcpLimits limits_;
  Counters& counters_;
  Snapshot<Table>::Reader table_;
  Snapshot<PrefixSet>::Reader allowed_;
  Clock::time_point accept_again_{};  // after a lack of descriptors
  std::list<Connection> connections_;
  std::vector<pollfd> fds_;
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

void serve_tcp(int listener, int stop, Shared& shared, Counters& counters) {
  Serving(listener, stop, shared, counters).run();
}

}  // namespace cw::discovery::dns
