// Keeps the device cw-nd (`overlay: wireguard`) as desired_hop() wants it (node/hop.h). A device of
// the kernel outlives the agent. A device of our own engine ends with this process, and the node
// has no hop until the next start. Loop thread only: the driver's calls run in the background
// (hop_driver.h), and their results come later.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "routeagent/hop_driver.h"
#include "routeagent/node/desired.h"

namespace cw::routeagent {

// Tells how long the first call of the driver takes.
class FirstCall {
 public:
  // The first begin() counts. `on_hang` runs once if the call has not ended after kPatience.
  void begin(Loop& loop, std::function<void()> on_hang);
  // Returns whether this was the first call.
  bool end();
  // It has begun, has not ended, and does not hang.
  [[nodiscard]] bool runs(TimePoint now) const;

 private:
  std::optional<TimePoint> began_;
  bool ended_ = false;
  Handle patience_;
};

class HopDevice {
 public:
  using Open = HopDriver::Open;

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
  [[nodiscard]] bool making() const { return first_.runs(loop_.now()); }
  // Why the device is not as wanted; empty: it is.
  [[nodiscard]] std::string trouble() const;

 private:
  void apply();
  void tried(const Result<>& done);

  Loop& loop_;
  tunnel::Key own_;
  std::uint16_t port_;
  std::function<void()> on_change_;
  std::optional<tunnel::DeviceSpec> wanted_;
  FirstCall first_;
  TimePoint next_check_{};
  std::string trouble_;
  Handle retry_;
  HopDriver driver_;  // last: it calls back
};

}  // namespace cw::routeagent
