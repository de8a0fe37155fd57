// Keeps the device cw-nd of `overlay: wireguard` as node/hop.h wants it. The kernel's device
// outlives the agent; our own engine's ends with this process, and the node's hop with it until the
// next start. Loop thread only: the driver's calls run elsewhere (tunnel/device_jobs.h), and what
// they came to is known later.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "base/worker.h"
#include "routeagent/node/desired.h"
#include "tunnel/device_jobs.h"
#include "tunnel/driver.h"

namespace cw::routeagent {

class HopDevice {
 public:
  using Open = std::function<Result<std::unique_ptr<tunnel::Driver>>()>;

  // Without `open` there is no such device. `background` is for this alone, and its jobs end before
  // this object does. `on_change`: making() or trouble() may have changed.
  HopDevice(Loop& loop, Open open, tunnel::Key own, std::uint16_t port,
            Background background = no_background(), std::function<void()> on_change = {});
  HopDevice(const HopDevice&) = delete;
  HopDevice& operator=(const HopDevice&) = delete;

  // What the device and its peers are to be now. What another program changed in the device is
  // repaired once a minute; what failed is tried again every two seconds.
  void keep(const NodeInputs& inputs);
  // The first call of the driver runs, and not for long.
  [[nodiscard]] bool making() const;
  // Why the device is not as it should be; empty: it is.
  [[nodiscard]] std::string trouble() const;

 private:
  void apply();
  void open_driver();
  void opened(Result<std::unique_ptr<tunnel::Driver>> driver);
  void tried(const Result<>& done);

  Loop& loop_;
  Open open_;
  tunnel::Key own_;
  std::uint16_t port_;
  Background background_;
  std::function<void()> on_change_;
  bool opening_ = false;
  std::unique_ptr<tunnel::Driver> driver_;
  std::optional<tunnel::DeviceJobs> jobs_;
  std::optional<tunnel::DeviceSpec> wanted_;
  bool tried_ = false;  // a call has ended, well or badly
  TimePoint begun_{};   // the first one
  TimePoint next_look_{};
  std::string trouble_;
  Handle retry_;
  Handle patience_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // closures may outlive us
};

}  // namespace cw::routeagent
