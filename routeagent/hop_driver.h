// The driver of the device cw-nd: opens it in the background, once the device is wanted, and runs
// its calls there (tunnel/device_jobs.h). Loop thread only; results come later.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/worker.h"
#include "tunnel/device_jobs.h"
#include "tunnel/driver.h"

namespace cw::routeagent {

class HopDriver {
 public:
  using Open = std::function<Result<std::unique_ptr<tunnel::Driver>>()>;
  // No hook runs after the HopDriver is destroyed.
  struct Hooks {
    std::function<tunnel::DeviceSpec()> spec;        // returns the newest spec
    std::function<void(const Result<>&)> on_result;  // of opening if that failed, or of an apply
  };

  // Only this object uses `background`, and its jobs end before this object.
  HopDriver(Loop& loop, Open open, Background background, Hooks hooks);
  HopDriver(const HopDriver&) = delete;
  HopDriver& operator=(const HopDriver&) = delete;

  // False: no device can be made here.
  [[nodiscard]] bool exists() const { return open_ != nullptr; }
  // Applies the newest spec. A driver that is not open is opened first.
  void apply();
  // A sentence while a call of the driver hangs. Empty: none hangs.
  [[nodiscard]] std::string silence() const;

 private:
  void open();
  void opened(Result<std::unique_ptr<tunnel::Driver>> driver);

  Loop& loop_;
  Open open_;
  Background background_;
  Hooks hooks_;
  bool opening_ = false;
  std::unique_ptr<tunnel::Driver> driver_;
  std::optional<tunnel::DeviceJobs> jobs_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // closures may outlive this object
};

}  // namespace cw::routeagent
