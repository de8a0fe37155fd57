// The driver for our own engine. The device runs in this process and ends with it; the other
// gateways of the cluster carry on. `wg show` and `wg set` reach the device through its socket.
#pragma once

#include <memory>

#include "tunnel/device_keeper.h"
#include "tunnel/engine/device.h"
#include "tunnel/engine/uapi_server.h"

namespace cw::tunnel {

class EngineDriver final : public DeviceKeeper {
 public:
  explicit EngineDriver(DriverConfig config);
  [[nodiscard]] std::string name() const override { return "engine"; }
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] bool moves_at_once() const override { return true; }
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<DeviceStatus> open() override;
  [[nodiscard]] Result<> set(const DeviceChange& change) override;
  void drop();

  DriverConfig config_;
  std::unique_ptr<engine::Device> device_;
  std::unique_ptr<engine::UapiServer> uapi_;
};

}  // namespace cw::tunnel
