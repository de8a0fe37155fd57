#include "routeagent/hop_device.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "routeagent/node/hop.h"

namespace cw::routeagent {

namespace {

constexpr Duration kBetweenChecks = std::chrono::minutes(1);  // no event tells of changed peers
constexpr Duration kBetweenTries = std::chrono::seconds(2);   // after a failure

}  // namespace

HopDevice::HopDevice(Loop& loop, Open open, tunnel::Key own, std::uint16_t port,
                     Background background, std::function<void()> on_change)
    : loop_(loop),
      open_(std::move(open)),
      own_(std::move(own)),
      port_(port),
      background_(std::move(background)),
      on_change_(std::move(on_change)) {}

void HopDevice::reconcile(const Seen& seen) {
  if (!open_) return;
  auto spec = desired_hop(seen, own_, port_);
  const bool changed = !wanted_ || wanted_->peers != spec.peers;
  wanted_ = std::move(spec);
  const bool gone = seen.host.hop_index == 0 && trouble_.empty();
  if (changed || gone || loop_.now() >= next_check_) apply();
}

void HopDevice::apply() {
  retry_.reset();
  next_check_ = loop_.now() + kBetweenChecks;
  if (begun_ == TimePoint{}) {
    begun_ = loop_.now();
    patience_ = loop_.after(tunnel::DeviceJobs::kPatience, [this] {
      if (!tried_ && on_change_) on_change_();
    });
  }
  if (jobs_) return jobs_->apply();
  if (!opening_) open_driver();
}

void HopDevice::open_driver() {
  opening_ = true;
  const bool taken = background_.run([this, open = open_, alive = std::weak_ptr<bool>(alive_)] {
    // Shared: std::function copies its closure, and a driver cannot be copied.
    auto driver = std::make_shared<Result<std::unique_ptr<tunnel::Driver>>>(open());
    return [this, driver, alive] {
      if (!alive.expired()) opened(std::move(*driver));
    };
  });
  CW_CHECK(taken);  // one at a time: the queue has room
}

void HopDevice::opened(Result<std::unique_ptr<tunnel::Driver>> driver) {
  opening_ = false;
  if (!driver) return tried(fail(std::move(driver.error())));
  driver_ = std::move(*driver);
  log_info("node tunnel opened", {{"driver", driver_->name()}, {"port", port_}});
  tunnel::DeviceJobHooks hooks;
  hooks.spec = [this] { return *wanted_; };
  hooks.on_applied = [this](const Result<>& done) { tried(done); };
  jobs_.emplace(loop_, *driver_, background_, std::move(hooks));
  jobs_->apply();
}

void HopDevice::tried(const Result<>& done) {
  const bool first = !std::exchange(tried_, true);
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

bool HopDevice::making() const {
  return begun_ != TimePoint{} && !tried_ && loop_.now() < begun_ + tunnel::DeviceJobs::kPatience;
}

std::string HopDevice::trouble() const {
  if (!trouble_.empty()) return trouble_;
  if (jobs_ && jobs_->hangs()) {
    return fmt::format("node tunnel: driver {} does not answer", driver_->name());
  }
  return {};
}

}  // namespace cw::routeagent
