// The driver for Linux's own WireGuard, through the embeddable-wg-library. The device outlives the
// process, so sessions and the data path survive a restart of the daemon.
#pragma once

#include <memory>

#include "tunnel/device_keeper.h"

namespace cw::tunnel {

// Whether this kernel has WireGuard. Tries it by making a device with an unused name.
[[nodiscard]] bool kernel_has_wireguard();

class KernelDriver final : public DeviceKeeper {
 public:
  explicit KernelDriver(DriverConfig config) : config_(std::move(config)) {}
  [[nodiscard]] std::string name() const override { return "kernel"; }
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] bool moves_at_once() const override { return true; }
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<DeviceStatus> open() override;
  [[nodiscard]] Result<> set(const DeviceChange& change) override;

  DriverConfig config_;
};

}  // namespace cw::tunnel
