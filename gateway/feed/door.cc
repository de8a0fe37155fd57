#include "gateway/feed/door.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/thread_role.h"

namespace cw::gateway {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kBacklog = 64;
// Then the other sockets have their turn.
constexpr int kAcceptsPerTurn = 64;
constexpr int kLongestWait = 100;          // ms, while a handshake or the pause has a time to end
constexpr std::chrono::seconds kPause{1};  // when out of descriptors or memory
constexpr std::chrono::seconds kLogEvery{60};  // per address and error code

using Callers = std::map<tunnel::Key, GatewayId>;

struct Stranger {
  UniqueFd fd;
  IpAddress address;
  Handshake handshake;
  Clock::time_point began;
};

// Our own reference to a connection that was handed over. With it we end the connection, and notice
// its end.
struct Guest {
  UniqueFd fd;
  std::shared_ptr<const FeedCaller> caller;
};

Result<UniqueFd> listening_socket(const Endpoint& local) {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(local.to_sockaddr(storage));
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    auto why = errno_error(errno, "feed: cannot listen on " + local.to_string());
    return fail(Errc::kUnavailable, std::move(why.text));
  }
  return fd;
}

Handshake::Nonce fresh_nonce() {
  Handshake::Nonce nonce{};
  SystemRandom random;
  random.fill(std::as_writable_bytes(std::span(nonce)));
  return nonce;
}

bool out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

struct FeedDoor::State {
  State(UniqueFd listening, const tunnel::Key& own, Admit on_admit, const FeedDoorConfig& limits)
      : config(limits),
        private_key(own),
        public_key(own.public_key()),
        admit(std::move(on_admit)),
        listener(std::move(listening)),
        wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  // --- any thread

  void poke() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto full = ::write(wake.get(), &one, sizeof one);  // full: awake
  }
  [[nodiscard]] std::shared_ptr<const Callers> known() {
    const std::lock_guard lock(mutex);
    return callers;
  }

  // --- the door's thread

  void run() {
    while (turn()) {
    }
    strangers.clear();
    for (const auto& guest : guests) end(guest);
    guests.clear();
  }

  // Waits for an event and handles it. False: stop.
  bool turn() {
    std::vector<pollfd> fds{{wake.get(), POLLIN, 0}};
    const bool open = Clock::now() >= paused_until;
    fds.push_back({open ? listener.get() : -1, POLLIN, 0});
    for (const auto& stranger : strangers) fds.push_back({stranger.fd.get(), POLLIN, 0});
    for (const auto& guest : guests) fds.push_back({guest.fd.get(), 0, 0});
    (void)::poll(fds.data(), fds.size(),
                 open && strangers.empty() ? -1 : kLongestWait);  // EINTR: another turn
    if (fds[0].revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const auto size = ::read(wake.get(), &count, sizeof count);
      const std::lock_guard lock(mutex);
      if (stopping) return false;
    }
    end_unknown_guests(std::span(fds).subspan(2 + strangers.size()));
    auto polled = fds.begin() + 2;
    for (auto at = strangers.begin(); at != strangers.end(); ++polled) {
      at = continue_handshake(*at, polled->revents) ? std::next(at) : strangers.erase(at);
    }
    if (fds[1].revents != 0) accept_some();
    return true;
  }

  static void end(const Guest& guest) { (void)::shutdown(guest.fd.get(), SHUT_RDWR); }

  // Ends guests that are gone or no longer known.
  void end_unknown_guests(std::span<const pollfd> polled) {
    const auto all = known();
    auto now = polled.begin();
    for (auto at = guests.begin(); at != guests.end(); ++now) {
      const auto found = all->find(at->caller->session.other);
      const bool welcome = found != all->end() && found->second == at->caller->id;
      if (welcome && (now->revents & (POLLHUP | POLLERR)) == 0) {
        ++at;
        continue;
      }
      end(*at);
      at = guests.erase(at);
    }
  }

  void accept_some() {
    for (int n = 0; n < kAcceptsPerTurn; ++n) {
      sockaddr_storage storage{};
      socklen_t size = sizeof storage;
      UniqueFd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&storage), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (!out_of_descriptors(errno)) return;  // none waits, or it is gone again
        if (!logged_full)
          log_warn("feed accepts no caller for a second", {{"error", "out of descriptors"}});
        logged_full = true;
        paused_until = Clock::now() + kPause;
        return;
      }
      logged_full = false;
      const auto from = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
      if (from) greet(std::move(fd), from->address);
    }
  }

  void greet(UniqueFd fd, const IpAddress& address) {
    const int on = 1;
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // affects latency only
    strangers.remove_if([&](const Stranger& other) { return other.address == address; });
    // Each known gateway has a slot, so that the gateways of one cluster cannot take all slots.
    if (strangers.size() >= std::max(config.strangers, known()->size())) strangers.pop_front();
    strangers.push_back({std::move(fd), address,
                         Handshake::server(
                             public_key, [this](const tunnel::Key& key) { return shared(key); },
                             fresh_nonce(), config.version),
                         Clock::now()});
  }

  // Costs 50 us, at most once per known caller.
  std::optional<tunnel::PairKey> shared(const tunnel::Key& other) {
    if (known()->count(other) == 0) return std::nullopt;
    const auto found = pair_keys.find(other);
    if (found != pair_keys.end()) return found->second;
    auto made = tunnel::pair_key(private_key, other, tunnel::kFeedLabel);
    if (!made) return std::nullopt;
    return pair_keys.emplace(other, *made).first->second;
  }

  // Continues a handshake. False: it is over. After POLLHUP recv() tells what happened.
  bool continue_handshake(Stranger& stranger, short events) {
    if (Clock::now() - stranger.began >= config.patience) return false;
    if (events == 0) return true;
    std::array<std::uint8_t, kHandshakeSize> bytes{};
    const auto size = ::recv(stranger.fd.get(), bytes.data(), stranger.handshake.remaining(), 0);
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    if (size == 0) return false;
    const auto step =
        stranger.handshake.receive(std::span(bytes).first(static_cast<std::size_t>(size)));
    // A message of 104 bytes fits into the buffer of any new socket. Otherwise the caller is
    // dropped.
    if (!step.send.empty() && ::send(stranger.fd.get(), step.send.data(), step.send.size(),
                                     MSG_NOSIGNAL) != static_cast<ssize_t>(step.send.size())) {
      return false;
    }
    if (step.error) log_refused(stranger.address, *step.error);
    if (step.done) let_in(std::move(stranger.fd), stranger.handshake.session());
    return !step.error && !step.done;
  }

  void let_in(UniqueFd fd, const FeedSession& session) {
    const auto all = known();
    const auto found = all->find(session.other);
    UniqueFd ours(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    if (found == all->end() || !ours) return;
    const auto mine = [&](const Guest& guest) { return guest.caller->id == found->second; };
    while (static_cast<std::size_t>(std::count_if(guests.begin(), guests.end(), mine)) >=
           config.connections) {
      const auto oldest = std::find_if(guests.begin(), guests.end(), mine);
      end(*oldest);
      guests.erase(oldest);
    }
    auto caller = std::make_shared<const FeedCaller>(FeedCaller{found->second, session});
    guests.push_back({std::move(ours), caller});
    admit(std::move(fd), std::move(caller));
  }

  // Limited by address and error code. The caller chooses a part of the text.
  void log_refused(const IpAddress& address, const Error& why) {
    const auto now = Clock::now();
    auto& last = logged[{address, why.code}];
    if (last != Clock::time_point{} && now - last < kLogEvery) return;
    if (logged.size() > 256) logged.clear();
    logged[{address, why.code}] = now;
    log_warn("feed caller refused", {{"address", address.to_string()}, {"reason", why.text}});
  }

  const FeedDoorConfig config;
  const tunnel::Key private_key;
  const tunnel::Key public_key;
  const Admit admit;
  const UniqueFd listener;
  const UniqueFd wake;
  std::uint16_t port = 0;

  std::mutex mutex;
  std::shared_ptr<const Callers> callers = std::make_shared<const Callers>();
  bool stopping = false;

  // For the door's thread only.
  std::list<Stranger> strangers;  // oldest first
  std::list<Guest> guests;        // oldest first
  std::map<tunnel::Key, tunnel::PairKey> pair_keys;
  std::map<std::pair<IpAddress, Errc>, Clock::time_point> logged;
  Clock::time_point paused_until{};
  bool logged_full = false;

  std::thread thread;
};

FeedDoor::FeedDoor(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<FeedDoor>> FeedDoor::open(const Endpoint& local,
                                                 const tunnel::Key& private_key, Admit admit,
                                                 const FeedDoorConfig& config) {
  auto listener = listening_socket(local);
  if (!listener) return fail(listener.error());
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const bool read =
      ::getsockname(listener->get(), reinterpret_cast<sockaddr*>(&storage), &size) == 0;
  const auto bound = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), size);
  auto state = std::make_unique<State>(std::move(*listener), private_key, std::move(admit), config);
  state->port = read && bound ? bound->port : local.port;
  state->thread = std::thread([raw = state.get()] {
    name_thread("cw-feed-door");
    give_way();
    raw->run();
  });
  return std::unique_ptr<FeedDoor>(new FeedDoor(std::move(state)));
}

FeedDoor::~FeedDoor() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->poke();
  state_->thread.join();
}

void FeedDoor::set_callers(std::map<tunnel::Key, GatewayId> callers) {
  {
    const std::lock_guard lock(state_->mutex);
    if (*state_->callers == callers) return;
    state_->callers = std::make_shared<const Callers>(std::move(callers));
  }
  state_->poke();
}

std::uint16_t FeedDoor::port() const { return state_->port; }

}  // namespace cw::gateway
