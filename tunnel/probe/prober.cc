#include "tunnel/probe/prober.h"

#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/awake_time.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "tunnel/probe/batch.h"

namespace cw::tunnel {

namespace {

constexpr int kMaxTurns = 8;  // batches read before other events get their turn
constexpr int kTicks = 8;     // an interval; no less than its hurried requests

class UdpProber final : public Prober {
 public:
  UdpProber(Loop& loop, Random& random, ProberConfig config, ProberHooks hooks)
      : loop_(loop),
        random_(random),
        config_(std::move(config)),
        hooks_(std::move(hooks)),
        session_(random.next()) {}

  Result<> start() {
    const auto family = config_.local.address.is_v4() ? AF_INET : AF_INET6;
    fd_.reset(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_) return fail(errno_error(errno, "probe socket"));
    const int one = 1;
    if (family == AF_INET6) {
      ::setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    if (!config_.device.empty()) {
      scope_ = if_nametoindex(config_.device.c_str());
      if (scope_ == 0 || ::setsockopt(fd_.get(), SOL_SOCKET, SO_BINDTODEVICE, config_.device.data(),
                                      static_cast<socklen_t>(config_.device.size())) != 0) {
        return fail(Errc::kUnavailable, fmt::format("probe socket: no device {}", config_.device));
      }
    }
    sockaddr_storage at{};
    const auto scope = config_.local.address.is_link_local() ? scope_ : 0;
    const auto size = config_.local.to_sockaddr(at, scope);
    if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)) != 0) {
      return fail(errno_error(errno, "probe socket " + config_.local.to_string()));
    }
    watch();
    return {};
  }

  void set_targets(const std::map<std::string, Endpoint>& targets) override {
    std::erase_if(targets_, [&](const auto& entry) {
      const auto found = targets.find(entry.first);
      return found == targets.end() || found->second != entry.second.to;
    });
    for (const auto& [name, to] : targets) {
      const auto [at, added] =
          targets_.try_emplace(name, Target{to, Detector(config_.detector), {}, {}});
      // Spread over the first interval, so that not all go out in one burst for ever.
      const auto spread = static_cast<std::uint64_t>(config_.detector.interval.count());
      if (added) {
        at->second.next_send =
            time() + Duration(static_cast<Duration::rep>(random_.next() % spread));
      }
    }
    if (targets_.empty()) {
      ticker_.reset();
    } else if (!ticker_.active()) {
      start_ticking();
    }
  }

  void set_interval(Duration interval) override {
    if (interval == config_.detector.interval) return;
    config_.detector.interval = interval;
    for (auto& [name, target] : targets_) target.detector.set_interval(interval);
    if (ticker_.active()) start_ticking();
  }

  void ask_now(const std::string& name) override {
    const auto target = targets_.find(name);
    if (target != targets_.end()) send_request(name, target->second, time());
  }

  std::map<std::string, ProbeView> views() override {
    std::map<std::string, ProbeView> out;
    for (auto& [name, target] : targets_) out.emplace(name, view_of(target));
    return out;
  }

 private:
  struct Target {
    Endpoint to;
    Detector detector;
    TimePoint next_send{};
    ProbeView last;  // as last told: only state, answering, draining and clusters matter
  };

  ProbeView view_of(Target& target) const {
    const auto now = time();
    ProbeView view = target.last;
    view.state = target.detector.state(now);
    view.usable = target.detector.usable(now);
    view.answering = target.detector.answering(now);
    view.rtt = target.detector.rtt();
    view.jitter = target.detector.jitter();
    view.loss = target.detector.loss(now);
    return view;
  }

  void start_ticking() {
    awake_.set_pace(config_.detector.interval / kTicks, config_.detector.interval);
    ticker_ = loop_.every(config_.detector.interval / kTicks, [this] { tick(); });
  }

  // What silence and round trips are measured with.
  [[nodiscard]] TimePoint time() const { return awake_.at(loop_.now()); }

  void tick() {
    // After a pause of our own: the replies that wait are read before anything is judged.
    if (awake_.look(loop_.now())) receive();
    const auto now = time();
    for (auto& [name, target] : targets_) {
      if (now < target.next_send) continue;
      send_request(name, target, now);
      target.next_send = now + target.detector.pace(now);
    }
    tell_changes();
  }

  void send_request(const std::string& name, Target& target, TimePoint now) {
    Probe probe;
    probe.session = session_;
    probe.sequence = target.detector.next_sequence(now);
    probe.sent_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
    probe.sender = config_.sender;
    if (hooks_.ask) hooks_.ask(name, probe);
    const auto bytes = serialize(probe, config_.key);
    sockaddr_storage to{};
    const auto size = target.to.to_sockaddr(to, target.to.address.is_link_local() ? scope_ : 0);
    // A send that fails is a probe that is lost: the detector draws the conclusion.
    (void)::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   static_cast<socklen_t>(size));
  }

  // Whether it is another than when it was last told.
  bool judge(Target& target) {
    const auto now = time();
    const auto state = target.detector.state(now);
    const bool answering = target.detector.answering(now);
    if (state == target.last.state && answering == target.last.answering) return false;
    target.last.state = state;
    target.last.answering = answering;
    return true;
  }

  // A change is told after the targets were walked: the callback may call set_targets().
  void tell_changes() {
    std::vector<std::string> changed;
    for (auto& [name, target] : targets_) {
      if (judge(target)) changed.push_back(name);
    }
    for (const auto& name : changed) changed_now(name);
  }

  void changed_now(const std::string& name) {
    if (hooks_.on_change) hooks_.on_change(name);
  }

  void receive() {
    (void)awake_.look(loop_.now());
    auto& batch = *batch_;
    unsigned requests = 0;
    for (int i = 0; i < kMaxTurns; ++i) {
      const auto count = batch.receive(fd_.get());
      for (unsigned n = 0; n < count; ++n) {
        const auto probe = parse_probe(batch.datagram(n), config_.key);
        if (!probe) continue;  // not ours, or not from who it should be
        if (probe->reply) {
          take_reply(*probe, batch.from(n), batch.from_size(n));
        } else {
          ++requests;
          send_reply(*probe, batch.from(n), batch.from_size(n));
        }
      }
      batch.send_replies(fd_.get());
      if (count < DatagramBatch::kMost) break;
    }
    // Many ask: they wait for each other a moment, and cost one wake-up together.
    if (!gathering_.handled(requests, loop_.now())) return;
    readable_.reset();
    gather_timer_ = loop_.after(Gathering::kPause, [this] {
      gather_timer_.reset();
      watch();
      receive();
    });
  }

  void watch() {
    readable_ = loop_.watch(fd_.get(), FdEvent::kRead, [this] { receive(); });
  }

  void send_reply(const Probe& request, const sockaddr_storage& to, socklen_t size) {
    Probe reply;
    reply.reply = true;
    reply.session = request.session;
    reply.sequence = request.sequence;
    reply.sent_ns = request.sent_ns;
    reply.sender = config_.sender;
    const auto from = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&to), size);
    if (!from) return;
    if (hooks_.answer) hooks_.answer(request, from->address, reply);
    batch_->reply(serialize(reply, config_.key), to, size);
  }

  void take_reply(const Probe& reply, const sockaddr_storage& from, socklen_t size) {
    const auto source = Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&from), size);
    if (!source || reply.session != session_) return;
    for (auto& [key, target] : targets_) {
      if (target.to != *source) continue;
      if (!target.detector.on_reply(reply.sequence, time())) return;
      const auto name = key;  // the callbacks may change the targets
      if (hooks_.on_reply) {
        hooks_.on_reply(name, reply);
        if (targets_.count(name) == 0) return;
      }
      const bool judged = judge(target);
      if (!judged && reply.draining == target.last.draining &&
          reply.clusters == target.last.clusters) {
        return;
      }
      target.last.draining = reply.draining;
      target.last.clusters = reply.clusters;
      changed_now(name);
      return;
    }
  }

  Loop& loop_;
  Random& random_;
  ProberConfig config_;
  ProberHooks hooks_;
  std::uint64_t session_;
  std::uint32_t scope_ = 0;
  UniqueFd fd_;
  std::map<std::string, Target> targets_;
  AwakeTime awake_{config_.detector.interval / kTicks, config_.detector.interval};
  std::unique_ptr<DatagramBatch> batch_ = std::make_unique<DatagramBatch>();
  Gathering gathering_;
  Handle readable_;
  Handle gather_timer_;
  Handle ticker_;
};

}  // namespace

Result<std::unique_ptr<Prober>> Prober::open(Loop& loop, Random& random, ProberConfig config,
                                             ProberHooks hooks) {
  auto prober = std::make_unique<UdpProber>(loop, random, std::move(config), std::move(hooks));
  if (auto ok = prober->start(); !ok) return fail(ok.error());
  return prober;
}

}  // namespace cw::tunnel
