#include "gateway/feed/client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

#include "base/backoff.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "gateway/feed/grpc_process.h"
#include "gateway/feed/handshake.h"

namespace cw::gateway {
namespace {

// A TCP socket that connects to `to`, from `from` if given: the remote gateway's filter accepts
// only our control address. gRPC gets the socket after the handshake.
Result<UniqueFd> connecting_socket(const std::optional<IpAddress>& from, const Endpoint& to) {
  sockaddr_storage remote{};
  const auto remote_size = static_cast<socklen_t>(to.to_sockaddr(remote));
  UniqueFd fd(::socket(remote.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fail(errno_error(errno, "feed: socket"));
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // affects latency only
  if (from.has_value()) {
    sockaddr_storage local{};
    const auto local_size = static_cast<socklen_t>(Endpoint{*from, 0}.to_sockaddr(local));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), local_size) != 0) {
      return fail(errno_error(errno, "feed: bind to " + from->to_string()));
    }
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&remote), remote_size) != 0 &&
      errno != EINPROGRESS) {
    return fail(errno_error(errno, "feed: connect to " + to.to_string()));
  }
  return fd;
}

// One remote cluster, followed through one gateway at a time.
struct Follow {
  explicit Follow(const FeedClientConfig& config)
      : backoff(config.first_retry, config.most_retry),
        budget(std::make_shared<ReadBudget>(config.snapshots_at_once, config.snapshot_every)) {}

  std::vector<FeedTarget> targets;
  std::size_t next = 0;  // the next attempt's index in targets
  std::optional<FeedTarget> target;
  UniqueFd fd;   // until gRPC has it
  Handle ready;  // watches fd
  std::optional<Handshake> handshake;
  Handle timer;            // to give up connecting, to notice silence, or to try again
  TimePoint not_before{};  // the next attempt begins no earlier
  std::unique_ptr<FeedStream> stream;
  unsigned silent = 0;  // heartbeats without a message, counted by our loop
  TimePoint since{};    // when the stream connected
  bool connected = false;
  std::string last_error;
  std::string resume_token;
  Backoff backoff;
  std::shared_ptr<ReadBudget> budget;  // outlives a stream
};

}  // namespace

struct FeedClient::State {
  State(Loop& l, Random& r, FeedClientConfig c, FeedCallbacks on)
      : loop(l), random(r), config(std::move(c)), callbacks(std::move(on)) {}

  void set_targets(const std::string& cluster, std::vector<FeedTarget> targets) {
    auto& follow = follows.try_emplace(cluster, config).first->second;
    if (follow.targets == targets) return;
    follow.targets = std::move(targets);
    follow.next = 0;
    const auto& list = follow.targets;
    if (follow.target && std::find(list.begin(), list.end(), *follow.target) != list.end()) return;
    if (!follow.target) {  // new or waiting: a new list is tried at once
      follow.timer =
          loop.after(follow.not_before - loop.now(), [this, cluster] { try_next(cluster); });
      return;
    }
    // The gateway is no longer usable. lost() runs later, because this call must not call back.
    follow.timer = loop.after(Duration::zero(), [this, cluster] {
      lost(cluster, {Errc::kUnavailable, "feed: the gateway is no longer usable"});
    });
  }

  // Names are by value below: they belong to callbacks whose handles these functions replace.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  void try_next(std::string cluster) {
    auto& follow = follows.at(cluster);
    follow.target = follow.targets[follow.next % follow.targets.size()];
    ++follow.next;
    auto fd = connecting_socket(config.local_address, {follow.target->address, config.port});
    if (!fd) return lost(cluster, fd.error());
    follow.fd = std::move(*fd);
    follow.timer = loop.after(config.heartbeat * 3, [this, cluster] {
      lost(cluster, {Errc::kUnavailable, "feed: no answer within three heartbeats"});
    });
    follow.ready =
        loop.watch(follow.fd.get(), FdEvent::kWrite, [this, cluster] { connected(cluster); });
  }

  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  void connected(std::string cluster) {
    auto& follow = follows.at(cluster);
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(follow.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) {
      return lost(cluster,
                  errno_error(error, "feed: connect to " + follow.target->address.to_string()));
    }
    const auto shared =
        tunnel::pair_key(config.private_key, follow.target->key, tunnel::kFeedLabel);
    if (!shared) return lost(cluster, shared.error());
    Handshake::Nonce nonce{};
    random.fill(std::as_writable_bytes(std::span(nonce)));
    follow.handshake = Handshake::caller(public_key, follow.target->key, *shared, nonce);
    follow.ready = loop.watch(follow.fd.get(), FdEvent::kRead,
                              [this, cluster] { continue_handshake(cluster); });
    (void)send(cluster, follow.handshake->start());
  }

  // False: the attempt is over. A new socket takes a message of 104 bytes at once.
  bool send(const std::string& cluster, const std::string& bytes) {
    auto& follow = follows.at(cluster);
    const auto sent = ::send(follow.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size())) return true;
    lost(cluster, errno_error(errno, "feed: handshake"));
    return false;
  }

  // Continues the handshake. Reads no byte beyond it: the next byte is gRPC's.
  // NOLINTNEXTLINE(performance-unnecessary-value-param)
  void continue_handshake(std::string cluster) {
    auto& follow = follows.at(cluster);
    std::array<std::uint8_t, kHandshakeSize> bytes{};
    const auto size = ::recv(follow.fd.get(), bytes.data(), follow.handshake->remaining(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < 0) return lost(cluster, errno_error(errno, "feed: handshake"));
    if (size == 0) {
      return lost(cluster, {Errc::kUnavailable, "feed: the remote gateway ended the handshake"});
    }
    const auto step =
        follow.handshake->receive(std::span(bytes).first(static_cast<std::size_t>(size)));
    if (!step.send.empty() && !send(cluster, step.send)) return;
    if (step.done) follow_stream(cluster);
    if (!step.error) return;
    lost(cluster, *step.error);
    if (step.error->code == Errc::kUnsupported) refuse(cluster, kVersionSubject, *step.error);
  }

  // The feed itself is refused.
  void refuse(const std::string& cluster, std::string_view subject, const Error& error) {
    FeedBatch batch;
    batch.refused.push_back({std::string(subject), error});
    callbacks.on_batch(cluster, std::move(batch));
  }

  void follow_stream(const std::string& cluster) {
    auto& follow = follows.at(cluster);
    follow.ready.reset();
    follow.silent = 0;
    // Counted, not timed: a pause of our own process is one heartbeat, however long it was.
    follow.timer = loop.every(config.heartbeat, [this, cluster] {
      if (++follows.at(cluster).silent > 3) {
        lost(cluster, {Errc::kUnavailable, "feed: silent for three heartbeats"});
      }
    });
    follow.stream = std::make_unique<FeedStream>(
        loop, network,
        FeedStream::Wire{std::move(follow.fd), follow.handshake->session(), follow.budget}, cluster,
        WatchQuery{config.self, follow.resume_token},
        [this, cluster](FeedBatch batch) { receive(cluster, std::move(batch)); });
    follow.handshake.reset();
  }

  // The stream or the attempt is over. The next gateway is tried at once, and after a whole round
  // there is a pause. The next attempt begins no earlier than after `least`.
  void lost(std::string cluster, Error error, Duration least = {}) {
    auto& follow = follows.at(cluster);
    const bool was_connected = std::exchange(follow.connected, false);
    if (was_connected || follow.last_error != error.text) {
      log_warn("feed lost",
               {{"cluster", cluster},
                {"gateway", follow.target ? follow.target->address.to_string() : "none"},
                {"error", error.text}});
    }
    follow.last_error = error.text;
    // More changes than we hold came after the token. A snapshot is smaller.
    if (error.code == Errc::kTooLarge) follow.resume_token.clear();
    if (was_connected && loop.now() - follow.since > config.most_retry) follow.backoff.reset();
    follow.stream.reset();
    follow.handshake.reset();
    follow.ready.reset();
    follow.fd.reset();
    follow.target.reset();
    const bool round_over = follow.next % follow.targets.size() == 0;
    const Duration pause =
        std::max(least, round_over ? Duration(follow.backoff.next(random)) : Duration::zero());
    follow.not_before = loop.now() + least;
    follow.timer = loop.after(pause, [this, cluster] { try_next(cluster); });
    if (was_connected) callbacks.on_state(cluster, false);
  }

  // State first, callbacks last: a callback may forget the cluster.
  void receive(std::string cluster, FeedBatch batch) {
    auto& follow = follows.at(cluster);
    follow.silent = 0;
    if (!batch.resume_token.empty()) follow.resume_token = batch.resume_token;
    const bool came = batch.live && !follow.connected;
    if (came) {
      follow.connected = true;
      follow.since = loop.now();
      follow.last_error.clear();
      log_info("feed connected",
               {{"cluster", cluster}, {"gateway", follow.target->address.to_string()}});
    }
    const auto ended = batch.ended;
    const auto pause = batch.pause;
    const auto known = [&] { return follows.count(cluster) != 0; };
    callbacks.on_batch(cluster, std::move(batch));
    if (came && known()) callbacks.on_state(cluster, true);
    if (!ended || !known()) return;
    lost(cluster, *ended, pause);
    if (pause != Duration::zero()) refuse(cluster, kSnapshotsSubject, *ended);
  }

  Loop& loop;
  Random& random;
  FeedClientConfig config;
  tunnel::Key public_key{config.private_key.public_key()};
  FeedCallbacks callbacks;
  FeedNetwork network;
  std::map<std::string, Follow> follows;
};

FeedClient::FeedClient(Loop& loop, Random& random, FeedClientConfig config,
                       FeedCallbacks callbacks) {
  prepare_grpc();
  state_ = std::make_unique<State>(loop, random, std::move(config), std::move(callbacks));
}

FeedClient::~FeedClient() = default;

void FeedClient::set_targets(std::map<std::string, std::vector<FeedTarget>> targets) {
  std::erase_if(state_->follows, [&](const auto& one) { return targets.count(one.first) == 0; });
  for (auto& [cluster, list] : targets) state_->set_targets(cluster, std::move(list));
}

void FeedClient::resync(const std::string& cluster) {
  const auto found = state_->follows.find(cluster);
  if (found == state_->follows.end()) return;
  found->second.resume_token.clear();
  if (found->second.stream == nullptr) return;
  state_->lost(cluster, {Errc::kUnavailable, "feed: a new snapshot is needed"});
}

std::map<std::string, FeedClient::View> FeedClient::view() const {
  std::map<std::string, View> views;
  for (const auto& [cluster, follow] : state_->follows) {
    views[cluster] = {follow.target ? std::optional(follow.target->address) : std::nullopt,
                      follow.connected, follow.last_error};
  }
  return views;
}

}  // namespace cw::gateway
