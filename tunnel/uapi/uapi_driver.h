// The driver for any userspace WireGuard behind the UAPI socket (wireguard-go). Starts the program
// if no socket answers, takes over one that runs, and leaves it running when the driver goes: the
// data path survives the daemon.
#pragma once

#include <memory>

#include "tunnel/diff.h"

namespace cw::tunnel {

class UapiDriver final : public Driver {
 public:
  explicit UapiDriver(DriverConfig config);
  [[nodiscard]] std::string name() const override { return "uapi"; }
  [[nodiscard]] Result<> apply(const DeviceSpec& spec) override;
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] Result<> move_allowed_ips(const Key& peer,
                                          const std::set<Prefix>& prefixes) override;
  [[nodiscard]] Result<> recreate_peer(const Key& peer) override;
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<> ensure_running();
  [[nodiscard]] Result<> set(const DeviceChange& change);

  DriverConfig config_;
  std::string socket_;
  Applied applied_;
  DeviceSpec last_;
};

}  // namespace cw::tunnel
