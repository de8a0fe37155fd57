// Keeps the device cw-nd of `overlay: wireguard` as node/hop.h wants it. The kernel's device
// outlives the agent; our own engine's ends with this process, and the node's hop with it until the
// next start. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "routeagent/node/desired.h"
#include "tunnel/driver.h"

namespace cw::routeagent {

class HopDevice {
 public:
  using Open = std::function<Result<std::unique_ptr<tunnel::Driver>>()>;

  // Without `open` there is no such device.
  HopDevice(Loop& loop, Open open, tunnel::Key own, std::uint16_t port)
      : loop_(loop), open_(std::move(open)), own_(std::move(own)), port_(port) {}

  // Makes the device and its peers as they are to be now. What another program changed in the
  // device is repaired once a minute.
  void keep(const NodeInputs& inputs);
  // Why the device is not as it should be; empty: it is.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  [[nodiscard]] Result<> apply(const tunnel::DeviceSpec& spec);

  Loop& loop_;
  Open open_;
  tunnel::Key own_;
  std::uint16_t port_;
  std::unique_ptr<tunnel::Driver> driver_;
  std::optional<tunnel::DeviceSpec> applied_;
  TimePoint next_look_{};
  std::string trouble_;
};

}  // namespace cw::routeagent
