#include "routeagent/hop_driver.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace cw::routeagent {

HopDriver::HopDriver(Loop& loop, Open open, Background background, Hooks hooks)
    : loop_(loop),
      open_(std::move(open)),
      background_(std::move(background)),
      hooks_(std::move(hooks)) {}

void HopDriver::apply() {
  if (jobs_) return jobs_->apply();
  if (!opening_) open();
}

void HopDriver::open() {
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

void HopDriver::opened(Result<std::unique_ptr<tunnel::Driver>> driver) {
  opening_ = false;
  if (!driver) return hooks_.on_result(fail(std::move(driver.error())));
  driver_ = std::move(*driver);
  log_info("node tunnel opened",
           {{"driver", driver_->name()}, {"port", hooks_.spec().listen_port}});
  tunnel::DeviceJobHooks jobs;
  jobs.spec = hooks_.spec;
  jobs.on_applied = hooks_.on_result;
  jobs_.emplace(loop_, *driver_, background_, std::move(jobs));
  jobs_->apply();
}

std::string HopDriver::silence() const {
  if (!jobs_ || !jobs_->hangs()) return {};
  return fmt::format("node tunnel: driver {} does not answer", driver_->name());
}

}  // namespace cw::routeagent
