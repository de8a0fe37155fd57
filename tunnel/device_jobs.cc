#include "tunnel/device_jobs.h"

namespace cw::tunnel {
namespace {

// Makes all moves, even after one failed. Returns the first error.
Result<> make(Driver& driver, const PeerMoves& moves) {
  Result<> result;
  for (const auto& [peer, prefixes] : moves.to) {
    auto done = driver.move_allowed_ips(peer, prefixes);
    if (!done && result) result = std::move(done);
  }
  return result;
}

}  // namespace

DeviceJobs::DeviceJobs(Loop& loop, Driver& driver, Background background, DeviceJobHooks hooks)
    : loop_(loop), driver_(driver), background_(std::move(background)), hooks_(std::move(hooks)) {}

bool DeviceJobs::hangs() const { return running_ && loop_.now() - running_since_ >= kPatience; }

void DeviceJobs::read() {
  read_ = true;
  next();
}

void DeviceJobs::apply() {
  apply_ = true;
  next();
}

void DeviceJobs::move(PeerMoves moves) {
  if (driver_.moves_at_once()) {
    hooks_.on_moved(moves, make(driver_, moves));
    return;
  }
  moves_.push_back(std::move(moves));
  next();
}

void DeviceJobs::recreate(const Key& peer) {
  recreate_.insert(peer);
  next();
}

void DeviceJobs::remake() {
  remake_ = true;
  apply();
}

template <typename Work, typename Done>
void DeviceJobs::start(Work work, Done done) {
  running_ = true;
  running_since_ = loop_.now();
  const bool taken = background_.run(
      [this, work = std::move(work), done = std::move(done), alive = std::weak_ptr<bool>(alive_)] {
        auto result = work();
        return [this, result = std::move(result), done, alive]() mutable {
          if (alive.expired()) return;
          running_ = false;
          done(std::move(result));
          next();
        };
      });
  // Not taken: calls of an earlier owner hang. The next look at the device tries again.
  if (!taken) running_ = false;
}

void DeviceJobs::next() {
  if (running_) return;
  auto& driver = driver_;
  if (!moves_.empty()) {
    const auto moves = std::exchange(moves_, {});
    return start(
        [&driver, moves] {
          std::vector<Result<>> results;
          for (const auto& one : moves) results.push_back(make(driver, one));
          return results;
        },
        [this, moves](const std::vector<Result<>>& results) {
          for (std::size_t n = 0; n < moves.size(); ++n) hooks_.on_moved(moves[n], results[n]);
        });
  }
  if (std::exchange(remake_, false)) {
    return start([&driver] { return driver.remove(); },
                 [this](const Result<>& done) {
                   if (!done) hooks_.on_repaired(done, "remove a stuck device");
                 });
  }
  if (std::exchange(apply_, false)) {
    return start([&driver, spec = hooks_.spec()] { return driver.apply(spec); },
                 [this](const Result<>& done) { hooks_.on_applied(done); });
  }
  if (!recreate_.empty()) {
    const auto key = recreate_.extract(recreate_.begin()).value();
    return start([&driver, key] { return driver.recreate_peer(key); },
                 [this](const Result<>& done) {
                   if (!done) hooks_.on_repaired(done, "make a peer again");
                 });
  }
  if (std::exchange(read_, false)) {
    return start([&driver] { return driver.read(); },
                 [this](Result<DeviceStatus> read) { hooks_.on_read(std::move(read)); });
  }
}

}  // namespace cw::tunnel
