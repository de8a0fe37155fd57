// Keeps the device cw-nd (`overlay: wireguard`) as desired_hop() wants it (node/hop.h). A device of
// the kernel outlives the agent. A device of our own engine ends with this process, and the node
// has no hop until the next start. Loop thread only: the driver's calls run in the background
// (tunnel/device_jobs.h), and their results come later.
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

  // Without `open` no device is made. Only this object uses `background`, and its jobs end before
  // this object. `on_change`: making() or trouble() may have changed.
  HopDevice(Loop& loop, Open open, tunnel::Key own, std::uint16_t port,
            Background background = no_background(), std::function<void()> on_change = {});
  HopDevice(const HopDevice&) = delete;
  HopDevice& operator=(const HopDevice&) = delete;

  // Makes the device and its peers as `seen` wants them. Once per minute it repairs what another
  // program changed. After a failure it tries again every two seconds.
  void reconcile(const Seen& seen);
  // The first call of the driver has not ended, and does not hang (DeviceJobs::kPatience).
  [[nodiscard]] bool making() const;
  // Why the device is not as wanted; empty: it is.
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
  bool tried_ = false;  // a call of the driver has ended, well or badly
  TimePoint begun_{};   // when the first call began
  TimePoint next_check_{};
  std::string trouble_;
  Handle retry_;
  Handle patience_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // closures may outlive this object
};

}  // namespace cw::routeagent
