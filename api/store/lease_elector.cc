#include "api/store/lease_elector.h"

#include <optional>

#include "api/types/codec.h"
#include "base/log.h"

namespace cw::api {

namespace {

// A timer that is later than this means that the process was paused.
constexpr Duration kPause = std::chrono::seconds(1);

// The Lease as this process last saw it change. It judges by the local clock whether the holder
// still renews, so clocks need not agree.
class Observed {
 public:
  [[nodiscard]] const std::string& version() const { return version_; }
  void record(const std::string& version, TimePoint now) {
    if (version == version_) return;
    version_ = version;
    changed_ = now;
  }
  // This process was paused. It saw no renewals, so the pause proves nothing about the holder.
  void skip(Duration pause) { changed_ += pause; }
  [[nodiscard]] bool expired(const Lease& lease, TimePoint now) const {
    return now - changed_ >= std::chrono::seconds(lease.duration_seconds);
  }

 private:
  std::string version_;
  TimePoint changed_{};
};

}  // namespace

struct LeaseElector::State {
  State(Loop& l, Store& s, Random& r, LeaseConfig c, std::function<void(bool)> callback)
      : loop(l), store(s), random(r), config(std::move(c)), on_change(std::move(callback)) {}

  Loop& loop;
  Store& store;
  Random& random;
  LeaseConfig config;
  std::function<void(bool)> on_change;

  std::optional<Lease> held;  // as last written; it is renewed without reading it first
  bool leader = false;
  bool released = false;
  Observed observed;
  std::function<void()> release_done;
  Handle timer;
  Handle deadline;
  Handle request;

  void again(Duration delay) {
    timer = loop.after(delay, [this, due = loop.now() + delay] {
      const auto late = loop.now() - due;
      if (late > kPause) observed.skip(late);
      attempt();
    });
  }
  Duration retry_delay() {
    const auto fifth = static_cast<std::uint64_t>(config.retry.count()) / 5 + 1;
    return config.retry + Duration(static_cast<Duration::rep>(random.next() % fifth));
  }

  // Renews the Lease, or takes it if it is free.
  void attempt() {
    if (leader && held) return write(*held, observed.version());
    request =
        store.get(Kind::kLease, config.key, [this](const Result<Object>& got) { judge(got); });
  }

  void judge(const Result<Object>& got) {
    if (!got) {
      if (got.error().code == Errc::kNotFound) return write(Lease{}, "");
      log_debug("lease cannot be read",
                {{"lease", config.key.to_string()}, {"error", got.error().text}});
      return again(retry_delay());
    }
    auto lease = decode<Lease>(got->body);
    if (!lease) {
      log_warn("lease is broken",
               {{"lease", config.key.to_string()}, {"error", lease.error().text}});
      return again(retry_delay());
    }
    observed.record(got->resource_version, loop.now());
    const bool ours = lease->holder == config.identity;
    const bool free = lease->holder.empty() || observed.expired(*lease, loop.now());
    if (ours || free) return write(*lease, got->resource_version);
    set_leader(false);
    again(retry_delay());
  }

  void write(Lease lease, const std::string& version) {
    const auto now = loop.wall_now();
    const bool fresh = version.empty();
    if (lease.holder != config.identity) {
      lease.acquired = now;
      if (!fresh) ++lease.transitions;
    }
    lease.meta.key = config.key;
    lease.holder = config.identity;
    lease.renewed = now;
    lease.duration_seconds =
        static_cast<std::int32_t>(std::chrono::ceil<std::chrono::seconds>(config.duration).count());
    Object object{Kind::kLease, config.key, version, encode(lease)};
    auto done = [this, lease](Result<Object> stored) {
      held.reset();
      if (!stored) {
        log_debug("lease not taken",
                  {{"lease", config.key.to_string()}, {"error", stored.error().text}});
        return again(retry_delay());
      }
      observed.record(stored->resource_version, loop.now());
      held = lease;
      // A holder that cannot renew steps down before others may take over.
      deadline = loop.after(config.renew, [this] { set_leader(false); });
      set_leader(true);
      again(retry_delay());
    };
    request = fresh ? store.create(std::move(object), std::move(done))
                    : store.update(std::move(object), std::move(done));
  }

  void set_leader(bool now_leader) {
    if (leader == now_leader || released) return;
    leader = now_leader;
    log_info(leader ? "lease taken" : "lease lost", {{"lease", config.key.to_string()}});
    on_change(leader);
  }

  void release(std::function<void()> done) {
    const bool was = leader;
    set_leader(false);
    released = true;
    timer.reset();
    deadline.reset();
    release_done = std::move(done);
    if (!was) return finish_release();
    request = store.get(Kind::kLease, config.key, [this](Result<Object> got) {
      auto lease = got ? decode<Lease>(got->body) : Result<Lease>(fail(got.error()));
      if (!lease || lease->holder != config.identity) return finish_release();
      lease->holder.clear();
      lease->duration_seconds = 1;
      request = store.update({Kind::kLease, config.key, got->resource_version, encode(*lease)},
                             [this](const Result<Object>&) { finish_release(); });
    });
  }

  void finish_release() {
    timer = loop.after(Duration::zero(), [this] {
      const auto done = std::move(release_done);
      if (done) done();
    });
  }
};

LeaseElector::LeaseElector(Loop& loop, Store& store, Random& random, LeaseConfig config,
                           std::function<void(bool)> on_change)
    : state_(
          std::make_unique<State>(loop, store, random, std::move(config), std::move(on_change))) {
  state_->attempt();
}

LeaseElector::~LeaseElector() = default;

bool LeaseElector::leader() const { return state_->leader; }

void LeaseElector::release(std::function<void()> done) { state_->release(std::move(done)); }

}  // namespace cw::api
