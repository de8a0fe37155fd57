#include "base/status_server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/http_request.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/socket.h"
#include "base/status_listener.h"
#include "base/thread_role.h"
#include "base/unique_fd.h"

namespace cw {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPages = 3;
constexpr std::array<std::string_view, kPages> kPaths{"/metrics", "/healthz", "/readyz"};
constexpr Duration kServed = std::chrono::seconds(2);       // a younger request is evicted last
constexpr Duration kAcceptPause = std::chrono::seconds(1);  // after an error that may last

struct Page {
  int code = 200;
  std::string body;
};

std::string answer(const Page& page, bool head) {
  const auto* reason = page.code == 200   ? "OK"
                       : page.code == 400 ? "Bad Request"
                       : page.code == 404 ? "Not Found"
                                          : "Service Unavailable";
  auto text = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n",
      page.code, reason, page.body.size());
  if (!head) text += page.body;
  return text;
}

struct Connection {
  enum class State { kReading, kWaiting, kWriting, kClosing };

  UniqueFd fd;
  IpAddress client;
  bool own = false;  // of this host: the client's address is the address that it called
  Clock::time_point since = Clock::now();
  State state = State::kReading;
  std::string in;
  std::string out;
  std::size_t sent = 0;
  bool head = false;
  std::size_t page = 0;
  bool asked = false;  // the loop is rendering the page for this connection
  Clock::time_point waiting_since{};
};

// What the loop thread and the status thread share.
struct Pages {
  std::mutex mutex;
  std::array<std::optional<Page>, kPages> rendered;  // emptied by the status thread
  UniqueFd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  bool stop = false;

  void poke() const {
    const std::uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);  // fails only if the eventfd is readable already
  }
};

// The status thread's side.
class Serving {
 public:
  Serving(const StatusListeners& listeners, Pages& pages, Mailbox<std::size_t>::Sender ask,
          const StatusLimits& limits, Counter& refused)
      : doors_{{Door{listeners.own.get(), limits.accepts},
                Door{listeners.others.get(), limits.accepts}}},
        pages_(pages),
        ask_(std::move(ask)),
        limits_(limits),
        refused_(refused) {}

  void run() {
    while (wait()) {
      std::uint64_t count = 0;
      (void)!::read(pages_.wake.get(), &count, sizeof count);
      {
        const std::lock_guard lock(pages_.mutex);
        if (pages_.stop) return;
      }
      take_pages();
      auto fd = fds_.begin() + 1 + kDoors;
      for (auto at = connections_.begin(); at != connections_.end(); ++fd) {
        at = keep(*at, fd->revents) ? std::next(at) : connections_.erase(at);
      }
      for (std::size_t i = 0; i < kDoors; ++i) {
        if (fds_[1 + i].revents != 0) accept_some(doors_[i]);
      }
      ask_for_pages();
    }
  }

 private:
  using State = Connection::State;
  // A listening socket, and the rate at which it accepts connections.
  struct Door {
    int listener = -1;  // -1: none; poll() ignores it
    double tokens = 0;
    Clock::time_point refilled = Clock::now();
    Clock::time_point again{};  // accepts nothing before this time
    bool trouble = false;
  };
  static constexpr std::size_t kDoors = 2;

  bool wait() {
    const auto now = Clock::now();
    fds_.assign({{pages_.wake.get(), POLLIN, 0}});
    bool waits = false;
    for (const auto& door : doors_) {
      const bool accepts = now >= door.again;
      fds_.push_back({accepts ? door.listener : -1, POLLIN, 0});
      waits = waits || !accepts;
    }
    for (const auto& c : connections_) {
      const short want = c.state == State::kWriting   ? POLLOUT
                         : c.state == State::kWaiting ? short{0}
                                                      : POLLIN;
      fds_.push_back({c.fd.get(), want, 0});
      waits = waits || c.state == State::kWaiting;
    }
    const int pause = waits ? 10 : connections_.empty() ? -1 : 500;
    return ::poll(fds_.data(), fds_.size(), pause) >= 0 || errno == EINTR;
  }

  void take_pages() {
    std::array<std::optional<Page>, kPages> fresh;
    {
      const std::lock_guard lock(pages_.mutex);
      fresh.swap(pages_.rendered);
    }
    for (std::size_t page = 0; page < kPages; ++page) {
      if (!fresh[page]) continue;
      outstanding_[page] = false;
      for (auto& c : connections_) {
        if (c.state == State::kWaiting && c.page == page && c.asked) reply(c, *fresh[page]);
      }
    }
  }

  // One rendering answers all connections that wait for the page at that time.
  void ask_for_pages() {
    const auto now = Clock::now();
    for (std::size_t page = 0; page < kPages; ++page) {
      const auto waits = [page](const Connection& c) {
        return c.state == State::kWaiting && c.page == page;
      };
      if (outstanding_[page] || now - asked_at_[page] < limits_.pause ||
          std::none_of(connections_.begin(), connections_.end(), waits)) {
        continue;
      }
      if (!ask_.push(page)) continue;
      outstanding_[page] = true;
      asked_at_[page] = now;
      for (auto& c : connections_) {
        if (waits(c)) c.asked = true;
      }
    }
  }

  // False: the connection is finished.
  bool keep(Connection& c, short events) {
    const auto now = Clock::now();
    if (now - c.since >= limits_.request || (events & (POLLERR | POLLNVAL)) != 0) return false;
    if (c.state == State::kWaiting) {
      if ((events & POLLHUP) != 0) return false;
      if (now - c.waiting_since < limits_.loop) return true;
      reply(c, {503, "the main loop does not answer\n"});
    }
    if (c.state == State::kWriting) return write(c);
    return (events & (POLLIN | POLLHUP)) == 0 || receive(c);
  }

  bool receive(Connection& c) {
    char buffer[4096];
    const auto n = ::recv(c.fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    if (c.state == State::kClosing) return true;  // further input is discarded
    c.in.append(buffer, static_cast<std::size_t>(n));
    const auto request = parse_http_request(c.in);
    if (request && !*request) return true;
    if (!request) {
      reply(c, {400, request.error().text + "\n"});
      return write(c);
    }
    c.head = (*request)->head;
    const auto known = std::find(kPaths.begin(), kPaths.end(), (*request)->path);
    if (known == kPaths.end()) {
      reply(c, {404, "want /metrics, /healthz or /readyz\n"});
      return write(c);
    }
    c.page = static_cast<std::size_t>(known - kPaths.begin());
    c.state = State::kWaiting;
    c.waiting_since = Clock::now();
    return true;
  }

  static void reply(Connection& c, const Page& page) {
    c.out = answer(page, c.head);
    c.state = State::kWriting;
  }

  static bool write(Connection& c) {
    while (c.sent < c.out.size()) {
      const auto n = ::send(c.fd.get(), c.out.data() + c.sent, c.out.size() - c.sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN;
      c.sent += static_cast<std::size_t>(n);
    }
    // close() with unread input makes Linux send RST, which may cut off the answer. So only our
    // direction is closed.
    (void)::shutdown(c.fd.get(), SHUT_WR);
    c.state = State::kClosing;
    c.out = {};
    return true;
  }

  void accept_some(Door& door) {
    const auto now = Clock::now();
    const std::chrono::duration<double> since = now - door.refilled;
    door.refilled = now;
    door.tokens = std::min(limits_.accepts / 10, door.tokens + since.count() * limits_.accepts);
    // The bound is small enough that a request that arrives with its connection is read before
    // make_room() could evict it.
    for (std::size_t i = 0; i < own_places(); ++i) {
      if (door.tokens < 1) {
        door.again = now + std::chrono::milliseconds(10);
        return;
      }
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      UniqueFd fd(::accept4(door.listener, reinterpret_cast<sockaddr*>(&from), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) return accept_failed(door, errno);
      door.trouble = false;
      door.tokens -= 1;
      const auto client = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
      if (!client) continue;
      // If the address that the client called is also its own, the client is on this host: Linux
      // drops packets of other hosts whose source is an address of this host.
      const auto called = local_endpoint(fd.get());
      const bool own = called && called->address == client->address;
      make_room(own);
      auto& c = connections_.emplace_back();
      c.fd = std::move(fd);
      c.client = client->address;
      c.own = own;
    }
  }

  static void accept_failed(Door& door, int why) {
    if (why == EAGAIN || why == EINTR || why == ECONNABORTED) return;
    door.again = Clock::now() + kAcceptPause;
    if (!std::exchange(door.trouble, true)) {
      log_warn("status endpoint cannot accept connections; retrying in 1 s",
               {{"error", errno_error(why, "accept").text}});
    }
  }

  [[nodiscard]] std::size_t own_places() const {
    return std::max<std::size_t>(limits_.connections / 4, 1);
  }

  // The client has sent its request, less than kServed ago.
  static bool is_served(const Connection& c, Clock::time_point now) {
    return (c.state == State::kWaiting || c.state == State::kWriting) &&
           now - c.waiting_since < kServed;
  }

  // Evicts one connection if all places of this side (this host, or all others) are taken. It takes
  // it from the clients with the most connections: the oldest one that does not wait for an answer,
  // else the oldest. The host has its own places, or idle connections from many addresses would
  // push out the kubelet's probe.
  void make_room(bool own) {
    const auto places =
        own ? own_places() : std::max(limits_.connections, own_places() + 1) - own_places();
    std::map<IpAddress, std::size_t> of;
    std::size_t taken = 0;
    std::size_t most = 0;
    for (const auto& c : connections_) {
      if (c.own != own) continue;
      ++taken;
      most = std::max(most, ++of[c.client]);
    }
    if (taken < places) return;
    const auto now = Clock::now();
    const auto oldest = [&](bool served) {
      return std::find_if(connections_.begin(), connections_.end(), [&](const Connection& c) {
        return c.own == own && of[c.client] == most && (served || !is_served(c, now));
      });
    };
    auto goes = oldest(false);
    if (goes == connections_.end()) goes = oldest(true);
    connections_.erase(goes);
    refused_.add();
  }

  std::array<Door, kDoors> doors_;
  Pages& pages_;
  Mailbox<std::size_t>::Sender ask_;
  StatusLimits limits_;
  Counter& refused_;
  std::list<Connection> connections_;  // oldest first
  std::vector<pollfd> fds_;
  std::array<bool, kPages> outstanding_{};
  std::array<Clock::time_point, kPages> asked_at_{};
};

}  // namespace

struct StatusServer::State {
  State(Loop& loop, Metrics& m, Readiness ready, StatusListeners sockets)
      : metrics(m),
        readiness(std::move(ready)),
        listeners(std::move(sockets)),
        asked(loop, 2 * kPages, [this](std::size_t page) { render(page); }) {}

  void render(std::size_t page) {
    Page made;
    if (kPaths[page] == "/metrics") {
      made.body = metrics.text();
    } else if (kPaths[page] == "/healthz") {
      made.body = "ok\n";
    } else {
      for (const auto& reason : readiness()) {
        made.code = 503;
        made.body += reason + "\n";
      }
      if (made.code == 200) made.body = "ok\n";
    }
    {
      const std::lock_guard lock(pages.mutex);
      pages.rendered[page] = std::move(made);
    }
    pages.poke();
  }

  Metrics& metrics;
  Readiness readiness;
  StatusListeners listeners;
  Pages pages;
  Mailbox<std::size_t> asked;
  std::thread thread;
};

Result<std::unique_ptr<StatusServer>> StatusServer::listen(Loop& loop, const Endpoint& at,
                                                           Metrics& metrics, Readiness readiness,
                                                           const StatusLimits& limits) {
  auto listeners = listen_for_status(at);
  if (!listeners) return fail(std::move(listeners.error()));
  auto state = std::make_unique<State>(loop, metrics, std::move(readiness), std::move(*listeners));
  if (!state->pages.wake) return fail(errno_error(errno, "status endpoint: eventfd"));
  auto& refused = metrics.counter(
      "causeway_status_connections_closed_total",
      "Connections to the status endpoint that were closed to make room for others.");
  // Signals belong to the loop thread.
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  state->thread = std::thread([raw = state.get(), limits, &refused] {
    name_thread("cw-status");
    give_way();
    Serving(raw->listeners, raw->pages, raw->asked.sender(), limits, refused).run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(state)));
}

StatusServer::StatusServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

StatusServer::~StatusServer() {
  {
    const std::lock_guard lock(state_->pages.mutex);
    state_->pages.stop = true;
  }
  state_->pages.poke();
  state_->thread.join();
}

std::uint16_t StatusServer::port() const { return state_->listeners.port(); }

}  // namespace cw
