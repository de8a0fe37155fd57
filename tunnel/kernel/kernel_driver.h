// The driver for Linux's own WireGuard, through the embeddable-wg-library. The device outlives the
// process, so sessions and the data path survive a restart of the daemon.
#pragma once

#include <memory>

#include "tunnel/diff.h"
#include "tunnel/move_order.h"

namespace cw::tunnel {

// Whether this kernel has WireGuard. Tries it by making a device with an unused name.
[[nodiscard]] bool kernel_has_wireguard();

class KernelDriver final : public Driver {
 public:
  explicit KernelDriver(DriverConfig config) : config_(std::move(config)) {}
  [[nodiscard]] std::string name() const override { return "kernel"; }
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

  DriverConfig config_;
  MoveOrder order_;
  Applied applied_;
  DeviceSpec last_;  // the last applied spec with later moves; guarded by order_
};

}  // namespace cw::tunnel
