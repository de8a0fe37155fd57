// The driver for any userspace WireGuard with a UAPI socket (wireguard-go). It starts the program
// if no socket answers, and takes over a running one. It leaves the program running when the driver
// is destroyed, so the data path survives the daemon.
#pragma once

#include <memory>
#include <string>

#include "tunnel/device_keeper.h"

namespace cw::tunnel {

class UapiDriver final : public DeviceKeeper {
 public:
  explicit UapiDriver(DriverConfig config);
  [[nodiscard]] std::string name() const override { return "uapi"; }
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] bool moves_at_once() const override { return false; }
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<DeviceStatus> open() override;
  [[nodiscard]] Result<std::string> exchange(const std::string& request);
  [[nodiscard]] Result<> set(const DeviceChange& change) override;
  [[nodiscard]] Result<> move(const DeviceChange& change) override;

  DriverConfig config_;
  std::string socket_;
  bool answers_ = true;  // the last request got an answer
};

}  // namespace cw::tunnel
