#include "tunnel/probe/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/awake_time.h"
#include "tunnel/probe/askers.h"
#include "tunnel/probe/probe_socket.h"

namespace cw::tunnel {

namespace {

constexpr int kTicks = 8;  // per interval; at least as many as hurried requests (in tunnels 8)
// Shorter datagrams get no notice. A notice must not answer a notice (8 bytes), or two sides would
// exchange them for ever.
constexpr std::size_t kLeastForeign = 52;  // bytes: the header of probe version 2
// At most ten notices per second.
constexpr Duration kNoticeGap = std::chrono::milliseconds(100);

class UdpProber final : public Prober {
 public:
  UdpProber(Loop& loop, Random& random, ProberConfig config, ProberHooks hooks)
      : loop_(loop),
        random_(random),
        config_(std::move(config)),
        hooks_(std::move(hooks)),
        self_(party_id(config_.private_key.public_key(), config_.self)),
        askers_(config_.private_key, random),
        socket_(loop, {[this] { (void)look(); },
                       [this](const Datagram& datagram) { return on_datagram(datagram); }}) {}

  Result<> start() { return socket_.open(config_.local, config_.device); }

  void set_targets(const std::map<GatewayId, ProbeTarget>& targets) override {
    if (!ticker_.active()) awake_.begin(loop_.now());
    std::erase_if(targets_, [&](const auto& entry) {
      const auto found = targets.find(entry.first);
      return found == targets.end() || found->second != entry.second.is;
    });
    for (const auto& [id, target] : targets) {
      if (targets_.count(id) == 0) add_target(id, target);
    }
    if (targets_.empty()) {
      ticker_.reset();
    } else if (!ticker_.active()) {
      start_ticking();
    }
  }

  void set_askers(const std::map<ProbeParty, Key>& askers) override { askers_.set(askers); }

  void set_interval(Duration interval) override {
    if (interval == config_.detector.interval) return;
    config_.detector.interval = interval;
    for (auto& [id, target] : targets_) target.detector.set_interval(interval);
    if (ticker_.active()) start_ticking();
  }

  void ask_now(const GatewayId& id) override {
    const auto target = targets_.find(id);
    if (target != targets_.end()) send_request(id, target->second, time());
  }

  ProbeViews views() override {
    ProbeViews out;
    for (auto& [id, target] : targets_) out.emplace(id, view_of(target));
    return out;
  }

 private:
  using Datagram = ProbeSocket::Datagram;
  struct Target {
    ProbeTarget is;
    Detector detector;
    std::optional<ProbeKey> key;  // none: no key can be computed with that public key
    std::uint64_t session = 0;    // a new target begins with new sequence numbers
    TimePoint next_send{};
    TimePoint next_again{};       // earliest time of the next request because of a challenge
    std::uint64_t challenge = 0;  // the challenge of the newest reply
    std::uint64_t newest = 0;     // the highest sequence that was answered
    ProbeView last;               // as last reported: state, draining, clusters, trouble
  };

  void add_target(const GatewayId& id, const ProbeTarget& is) {
    Target target{is, Detector(config_.detector), {}, random_.next(), {}, {}, 0, 0, {}};
    if (const auto key = pair_key(config_.private_key, is.key, kProbeLabel)) {
      target.key = *key;
    } else {
      target.last.trouble = key.error().text;
    }
    // Spreads the first requests over an interval, so that they do not stay one burst.
    const auto spread = static_cast<std::uint64_t>(config_.detector.interval.count());
    target.next_send = time() + Duration(static_cast<Duration::rep>(random_.next() % spread));
    targets_.emplace(id, std::move(target));
  }

  ProbeView view_of(Target& target) const {
    const auto now = time();
    ProbeView view = target.last;
    view.state = target.detector.state(now);
    view.usable = target.detector.usable(now);
    view.rtt = target.detector.rtt();
    view.jitter = target.detector.jitter();
    view.loss = target.detector.loss(now);
    if (view.usable) view.trouble.clear();
    return view;
  }

  void start_ticking() {
    awake_.set_pace(config_.detector.interval / kTicks, config_.detector.interval);
    ticker_ = loop_.every(config_.detector.interval / kTicks, [this] { tick(); });
  }

  // The clock for silence and round trips: it leaves out pauses of this process.
  [[nodiscard]] TimePoint time() const { return awake_.at(loop_.now()); }

  // Every wake-up begins with this call. True: this process was paused just before.
  bool look() {
    if (!awake_.look(loop_.now())) return false;
    for (auto& [id, target] : targets_) target.detector.on_pause();
    return true;
  }

  void tick() {
    // After a pause of this process, waiting replies are read before any target is judged.
    if (look()) socket_.receive();
    const auto now = time();
    for (auto& [id, target] : targets_) {
      if (now < target.next_send) continue;
      send_request(id, target, now);
      target.next_send = now + target.detector.pace(now);
    }
    tell_changes();
  }

  void send_request(const GatewayId& id, Target& target, TimePoint now) {
    if (!target.key) return;
    Probe probe;
    probe.asker = self_;
    probe.session = target.session;
    probe.challenge = target.challenge;
    probe.sequence = target.detector.next_sequence(now);
    probe.sent_ns = static_cast<std::uint64_t>(now.time_since_epoch().count());
    probe.sender = config_.sender;
    if (hooks_.ask) hooks_.ask(id, probe);
    socket_.send(serialize(probe, *target.key), target.is.to);
  }

  // Whether the state differs from the last reported one.
  bool judge(Target& target) {
    const auto state = target.detector.state(time());
    return std::exchange(target.last.state, state) != state;
  }

  // Changes are reported after the loop over the targets: the callback may call set_targets().
  void tell_changes() {
    std::vector<GatewayId> changed;
    for (auto& [id, target] : targets_) {
      if (judge(target)) changed.push_back(id);
    }
    for (const auto& id : changed) changed_now(id);
  }

  void changed_now(const GatewayId& id) {
    if (hooks_.on_change) hooks_.on_change(id);
  }

  // Returns whether the datagram was a request that gets an answer.
  bool on_datagram(const Datagram& datagram) {
    const auto envelope = parse_envelope(datagram.bytes);
    if (envelope && envelope->reply) {
      on_reply(datagram);
      return false;
    }
    if (envelope) return on_request(*envelope, datagram);
    if (const auto version = foreign_version(datagram.bytes)) {
      on_foreign(*version, datagram);
    } else {
      refuse(Refusal::kMalformed, datagram.source, envelope.error().text);
    }
    return false;
  }

  bool on_request(const ProbeEnvelope& envelope, const Datagram& datagram) {
    auto* asker = askers_.find(envelope.asker);
    if (asker == nullptr) {
      refuse(Refusal::kUnknownAsker, datagram.source,
             "no public key is known for the party that asks");
      return false;
    }
    const auto request = parse_probe(datagram.bytes, *asker->key);
    if (!request) {
      refuse(request.error().code == Errc::kDenied ? Refusal::kWrongKey : Refusal::kMalformed,
             datagram.source, request.error().text);
      return false;
    }
    const auto verdict = askers_.judge(*asker, *request);
    Probe reply;
    reply.reply = true;
    reply.asker = request->asker;
    reply.session = request->session;
    reply.sequence = request->sequence;
    reply.sent_ns = request->sent_ns;
    reply.challenge = verdict.challenge;
    reply.sender = config_.sender;
    if (hooks_.answer) hooks_.answer(*request, {asker->party, verdict.fresh}, reply);
    socket_.reply(serialize(reply, *asker->key), datagram);
    return true;
  }

  // Both sides report it in words: our view of the target, and a notice to the sender.
  void on_foreign(unsigned version, const Datagram& datagram) {
    const auto words =
        fmt::format("speaks probe version {}; this side speaks {}", version, kProbeMajor);
    refuse(Refusal::kVersion, datagram.source, words);
    blame(datagram.source, words);
    const auto now = loop_.now();
    if (datagram.bytes.size() < kLeastForeign || now - last_notice_ < kNoticeGap) return;
    last_notice_ = now;
    socket_.reply(version_notice(), datagram);
  }

  void refuse(Refusal refusal, const Endpoint& source, const std::string& words) {
    if (hooks_.on_refused) hooks_.on_refused(refusal, source.address, words);
  }

  // Sets the reason why a target does not answer. Any host can forge it, but only for a target that
  // does not answer.
  void blame(const Endpoint& source, const std::string& words) {
    const auto at = std::find_if(targets_.begin(), targets_.end(),
                                 [&](const auto& one) { return one.second.is.to == source; });
    if (at == targets_.end() || at->second.last.trouble == words ||
        at->second.detector.usable(time())) {
      return;
    }
    at->second.last.trouble = words;
    changed_now(GatewayId(at->first));
  }

  void on_reply(const Datagram& datagram) {
    const auto& source = datagram.source;
    const auto at = std::find_if(targets_.begin(), targets_.end(),
                                 [&](const auto& one) { return one.second.is.to == source; });
    if (at == targets_.end() || !at->second.key) return;
    const auto reply = parse_probe(datagram.bytes, *at->second.key);
    if (!reply) {
      const bool denied = reply.error().code == Errc::kDenied;
      refuse(denied ? Refusal::kWrongKey : Refusal::kMalformed, source, reply.error().text);
      if (denied) blame(source, "answers with another key than the one that we know");
      return;
    }
    auto& target = at->second;
    if (reply->asker != self_ || reply->session != target.session ||
        !target.detector.on_reply(reply->sequence, time())) {
      return;
    }
    const auto id = at->first;  // the callbacks may change the targets
    const bool stranger = record_challenge(target, *reply);
    if (stranger && hooks_.on_stranger) hooks_.on_stranger(id);
    if (hooks_.on_reply) hooks_.on_reply(id, *reply);
    const auto still = targets_.find(id);
    if (still == targets_.end()) return;
    if (stranger) answer_challenge(id, still->second);
    auto& last = still->second.last;
    const bool judged = judge(still->second);
    if (!judged && reply->draining == last.draining && reply->clusters == last.clusters &&
        last.trouble.empty()) {
      return;
    }
    last.draining = reply->draining;
    last.clusters = reply->clusters;
    last.trouble.clear();
    changed_now(id);
  }

  // Asks at once, but at most once per interval: a target with a new challenge in each reply gains
  // nothing.
  void answer_challenge(const GatewayId& id, Target& target) {
    const auto now = time();
    if (now < target.next_again) return;  // the next regular request answers it
    target.next_again = now + config_.detector.interval;
    send_request(id, target, now);
  }

  // Returns whether the target has a new challenge for our session.
  static bool record_challenge(Target& target, const Probe& reply) {
    if (reply.sequence < target.newest) return false;  // a late reply
    target.newest = reply.sequence;
    const bool news = reply.challenge != 0 && reply.challenge != target.challenge;
    target.challenge = reply.challenge;
    return news;
  }

  Loop& loop_;
  Random& random_;
  ProberConfig config_;
  ProberHooks hooks_;
  PartyId self_;
  Askers askers_;
  TimePoint last_notice_{};
  std::map<GatewayId, Target> targets_;
  AwakeTime awake_{config_.detector.interval / kTicks, config_.detector.interval};
  Handle ticker_;
  ProbeSocket socket_;  // last: it calls back
};

}  // namespace

Result<std::unique_ptr<Prober>> Prober::open(Loop& loop, Random& random, ProberConfig config,
                                             ProberHooks hooks) {
  auto prober = std::make_unique<UdpProber>(loop, random, std::move(config), std::move(hooks));
  if (auto ok = prober->start(); !ok) return fail(ok.error());
  return prober;
}

}  // namespace cw::tunnel
