#include "routeagent/hop_device.h"

#include <utility>

#include "base/log.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

namespace {

constexpr Duration kBetweenChecks = std::chrono::minutes(1);  // no event tells of changed peers
constexpr Duration kBetweenTries = std::chrono::seconds(2);   // after a failure

}  // namespace

void FirstCall::begin(Loop& loop, std::function<void()> on_hang) {
  if (began_) return;
  began_ = loop.now();
  patience_ = loop.after(tunnel::DeviceJobs::kPatience, [this, on_hang = std::move(on_hang)] {
    if (!ended_ && on_hang) on_hang();
  });
}

bool FirstCall::end() { return !std::exchange(ended_, true); }

bool FirstCall::runs(TimePoint now) const {
  return began_ && !ended_ && now < *began_ + tunnel::DeviceJobs::kPatience;
}

HopDevice::HopDevice(Loop& loop, Open open, tunnel::Key own, std::uint16_t port,
                     Background background, std::function<void()> on_change)
    : loop_(loop),
      own_(std::move(own)),
      port_(port),
      on_change_(std::move(on_change)),
      driver_(loop, std::move(open), std::move(background),
              {[this] { return *wanted_; }, [this](const Result<>& done) { tried(done); }}) {}

void HopDevice::reconcile(const Seen& seen) {
  if (!driver_.exists()) return;
  auto spec = desired_hop(seen, own_, port_);
  const bool changed = !wanted_ || wanted_->peers != spec.peers;
  wanted_ = std::move(spec);
  const bool gone = seen.host.hop_index == 0 && trouble_.empty();
  if (changed || gone || loop_.now() >= next_check_) apply();
}

void HopDevice::apply() {
  retry_.reset();
  next_check_ = loop_.now() + kBetweenChecks;
  first_.begin(loop_, on_change_);
  driver_.apply();
}

void HopDevice::tried(const Result<>& done) {
  const bool first = first_.end();
  auto trouble = done ? std::string() : done.error().context("node tunnel").text;
  if (!done) {
    next_check_ = loop_.now() + kBetweenTries;
    retry_ = loop_.after(kBetweenTries, [this] { apply(); });
  }
  const bool news = trouble != trouble_;
  if (news && !trouble.empty()) log_warn(trouble);
  if (news && trouble.empty()) log_info("node tunnel as wanted again");
  trouble_ = std::move(trouble);
  if ((first || news) && on_change_) on_change_();
}

std::string HopDevice::trouble() const { return trouble_.empty() ? driver_.silence() : trouble_; }

}  // namespace cw::routeagent
