// The driver for our own engine. The device runs in this process and ends with it; the other
// gateways of the cluster carry on. `wg show` and `wg set` reach the device through its socket.
#pragma once

#include <memory>

#include "tunnel/diff.h"
#include "tunnel/engine/device.h"
#include "tunnel/engine/uapi_server.h"
#include "tunnel/move_order.h"

namespace cw::tunnel {

class EngineDriver final : public Driver {
 public:
  explicit EngineDriver(DriverConfig config);
  [[nodiscard]] std::string name() const override { return "engine"; }
  [[nodiscard]] Result<> apply(const DeviceSpec& spec) override;
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] Result<> move_allowed_ips(const Key& peer,
                                          const std::set<Prefix>& prefixes) override;
  [[nodiscard]] std::uint64_t moves() const override { return order_.moves(); }
  [[nodiscard]] bool moves_at_once() const override { return true; }
  [[nodiscard]] Result<> recreate_peer(const Key& peer) override;
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<> ensure_device();
  [[nodiscard]] Result<> set(const DeviceChange& change);
  void drop();

  DriverConfig config_;
  MoveOrder order_;
  std::unique_ptr<engine::Device> device_;
  std::unique_ptr<engine::UapiServer> uapi_;
  Applied applied_;
  DeviceSpec last_;  // the last applied spec with later moves; guarded by order_
};

}  // namespace cw::tunnel
