#include "tunnel/probe/forwarding_prober.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <span>

#include "base/awake_time.h"
#include "tunnel/probe/udp_socket.h"

namespace cw::tunnel {

namespace {

constexpr int kMaxPerTurn = 256;  // datagrams per turn, so that other events get theirs
// Half the interval of hurried probes (PathConfig::hurry).
constexpr Duration kTick = std::chrono::milliseconds(20);
constexpr Duration kPause = 5 * kTick;  // a longer gap is a pause of this process

// The size of the IP and UDP headers.
std::size_t overhead(Family family) { return family == Family::kV4 ? 28 : 48; }

Result<UniqueFd> echo_socket(const Endpoint& local, const std::string& device) {
  auto socket = open_udp_socket(local, device, "echo socket");
  if (!socket) return fail(std::move(socket.error()));
  // Probes are never fragmented, and they are sent at their size whatever path MTU the kernel
  // knows. A kernel without this option fragments: then all sizes pass, and the verdict still
  // holds.
  const bool v4 = local.address.is_v4();
  const int probe = v4 ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
  (void)::setsockopt(socket->fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6,
                     v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &probe, sizeof probe);
  return std::move(socket->fd);
}

class UdpForwardingProber final : public ForwardingProber {
 public:
  UdpForwardingProber(Loop& loop, Random& random, ForwardingConfig config, OnChange on_change)
      : loop_(loop),
        random_(random),
        config_(std::move(config)),
        on_change_(std::move(on_change)),
        session_(random.next()) {
    random.fill(std::as_writable_bytes(std::span(key_)));
  }

  Result<> start() {
    for (const auto& [family, address] : config_.local) {
      if (auto ok = add_socket({family, false}, {address, config_.port}); !ok) return ok;
    }
    // Any port: the gateway itself listens on the usual one.
    for (const auto& [family, address] : config_.own) {
      if (auto ok = add_socket({family, true}, {address, 0}); !ok) return ok;
    }
    return {};
  }

  void set_paths(const Paths& wanted, Duration interval) override {
    if (!ticker_.active()) awake_.begin(loop_.now());
    std::erase_if(paths_, [&](const auto& one) { return wanted.count(one.first) == 0; });
    by_address_.clear();
    for (const auto& [key, addresses] : wanted) {
      if (sockets_.count(socket_of(key)) == 0) continue;
      auto config = config_.path;
      config.interval = interval;
      // No IPv6 link has an MTU below 1280.
      if (key.family == Family::kV6)
        config.size.least = std::max<std::size_t>(config.size.least, 1280);
      // Spreads the first requests over the interval, but over at most a second: verdicts are
      // needed soon.
      const auto spread =
          static_cast<std::uint64_t>(std::min<Duration>(interval, std::chrono::seconds(1)).count());
      const auto first = time() + Duration(static_cast<Duration::rep>(random_.next() % spread));
      const auto [at, added] = paths_.try_emplace(key, Path{{}, PathDetector(config, first), {}});
      at->second.detector.set_interval(interval);
      at->second.targets = addresses;
      for (const auto& address : addresses) by_address_.emplace(address, key);
    }
    if (paths_.empty()) {
      ticker_.reset();
    } else if (!ticker_.active()) {
      ticker_ = loop_.every(kTick, [this] { tick(); });
    }
  }

  std::map<PathKey, PathView> views() const override {
    std::map<PathKey, PathView> out;
    for (const auto& [key, path] : paths_) out.emplace(key, view_of(path));
    return out;
  }

 private:
  using SocketKey = std::pair<Family, bool>;  // true: for the own gateway's paths

  struct Path {
    std::vector<IpAddress> targets;
    PathDetector detector;
    PathView told;
  };
  struct Socket {
    UniqueFd fd;
    Handle readable;
  };

  [[nodiscard]] SocketKey socket_of(const PathKey& key) const {
    return {key.family, config_.own_gateway == key.gateway};
  }

  Result<> add_socket(const SocketKey& key, const Endpoint& local) {
    auto fd = echo_socket(local, {});
    if (!fd) return fail(fd.error());
    auto& socket = sockets_[key];
    socket.fd = std::move(*fd);
    socket.readable = loop_.watch(socket.fd.get(), FdEvent::kRead,
                                  [this, raw = socket.fd.get()] { receive(raw); });
    return {};
  }

  static PathView view_of(const Path& path) {
    return {path.detector.verdict(), path.detector.floor(), path.detector.rtt()};
  }

  // The clock for silence and round trips: it leaves out pauses of this process.
  [[nodiscard]] TimePoint time() const { return awake_.at(loop_.now()); }

  void tick() {
    if (awake_.look(loop_.now())) {
      // After a pause of this process, waiting replies are read before any path is judged.
      for (const auto& [key, socket] : sockets_) read_replies(socket.fd.get());
    }
    const auto now = time();
    std::set<std::uint32_t> suspects;
    for (auto& [key, path] : paths_) {
      const bool late = path.detector.late();
      const auto send = path.detector.due(now, path.targets.size());
      if (send) ask(key, path, *send);
      if (!late && path.detector.late()) suspects.insert(key.gateway);
    }
    // One lost probe makes all paths through that gateway worth a look.
    for (auto& [key, path] : paths_) {
      if (suspects.count(key.gateway) != 0 && !path.detector.late()) path.detector.suspect(now);
    }
    tell();
  }

  void ask(const PathKey& key, const Path& path, const PathDetector::Send& send) {
    const auto size = send.size - std::min(send.size, overhead(key.family));
    const auto bytes = echo_request({session_, send.sequence}, size, key_);
    sockaddr_storage to{};
    const auto length = Endpoint{path.targets[send.target], config_.port}.to_sockaddr(to);
    // A failed send is a lost probe: the detector draws the conclusion.
    (void)::sendto(sockets_.at(socket_of(key)).fd.get(), bytes.data(), bytes.size(), 0,
                   reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(length));
  }

  void receive(int fd) {
    (void)awake_.look(loop_.now());
    read_replies(fd);
    tell();
  }

  void read_replies(int fd) {
    std::array<std::byte, kMaxEcho> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (int i = 0; i < kMaxPerTurn; ++i) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto n = ::recvfrom(fd, buffer.data(), buffer.size(), 0,
                                reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 0) break;
      const auto source = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&from), size);
      const auto echo = parse_echo_reply({buffer.data(), static_cast<std::size_t>(n)}, key_);
      if (!source || source->port != config_.port || !echo || echo->session != session_) continue;
      const auto key = by_address_.find(source->address);
      const auto path = key == by_address_.end() ? paths_.end() : paths_.find(key->second);
      if (path != paths_.end()) (void)path->second.detector.on_reply(echo->sequence, time());
    }
  }

  // Called after the loop over the paths: the callback may call set_paths().
  void tell() {
    bool changed = false;
    for (auto& [key, path] : paths_) {
      const auto view = view_of(path);
      changed = changed || !view.says_as(path.told);
      path.told = view;
    }
    if (changed && on_change_) on_change_();
  }

  Loop& loop_;
  Random& random_;
  ForwardingConfig config_;
  OnChange on_change_;
  std::uint64_t session_;
  ProbeKey key_{};  // random, of this process only
  std::map<SocketKey, Socket> sockets_;
  std::map<PathKey, Path> paths_;
  std::map<IpAddress, PathKey> by_address_;
  AwakeTime awake_{kTick, kPause};
  Handle ticker_;
};

class UdpEchoServer final : public EchoServer {
 public:
  UdpEchoServer(Loop& loop, UniqueFd fd)
      : fd_(std::move(fd)),
        readable_(loop.watch(fd_.get(), FdEvent::kRead, [this] { receive(); })) {}

 private:
  void receive() const {
    std::array<std::byte, kMaxEcho> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (int i = 0; i < kMaxPerTurn; ++i) {
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const auto n = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0,
                                reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 0) return;
      const std::span packet(buffer.data(), static_cast<std::size_t>(n));
      if (!turn_into_reply(packet)) continue;
      (void)::sendto(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from),
                     size);  // a lost answer is a lost probe
    }
  }

  UniqueFd fd_;
  Handle readable_;
};

}  // namespace

Result<std::unique_ptr<ForwardingProber>> ForwardingProber::open(Loop& loop, Random& random,
                                                                 ForwardingConfig config,
                                                                 OnChange on_change) {
  auto prober =
      std::make_unique<UdpForwardingProber>(loop, random, std::move(config), std::move(on_change));
  if (auto ok = prober->start(); !ok) return fail(ok.error());
  return prober;
}

Result<std::unique_ptr<EchoServer>> EchoServer::open(Loop& loop, const Endpoint& local,
                                                     const std::string& device) {
  auto fd = echo_socket(local, device);
  if (!fd) return fail(fd.error());
  return std::make_unique<UdpEchoServer>(loop, std::move(*fd));
}

}  // namespace cw::tunnel
