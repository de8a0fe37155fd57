// The driver for any userspace WireGuard with a UAPI socket (wireguard-go). It starts the program
// if no socket answers, and takes over a running one. It leaves the program running when the driver
// is destroyed, so the data path survives the daemon.
#pragma once

#include <memory>
#include <string>

#include "tunnel/diff.h"
#include "tunnel/move_order.h"

namespace cw::tunnel {

class UapiDriver final : public Driver {
 public:
  explicit UapiDriver(DriverConfig config);
  [[nodiscard]] std::string name() const override { return "uapi"; }
  [[nodiscard]] Result<> apply(const DeviceSpec& spec) override;
  [[nodiscard]] Result<DeviceStatus> read() override;
  [[nodiscard]] Result<> move_allowed_ips(const Key& peer,
                                          const std::set<Prefix>& prefixes) override;
  [[nodiscard]] std::uint64_t moves() const override { return order_.moves(); }
  [[nodiscard]] bool moves_at_once() const override { return false; }
  [[nodiscard]] Result<> recreate_peer(const Key& peer) override;
  [[nodiscard]] Result<> remove() override;

 private:
  [[nodiscard]] Result<std::string> running();  // starts it if necessary; its answer to a get
  [[nodiscard]] Result<std::string> exchange(const std::string& request);
  [[nodiscard]] Result<> set(const DeviceChange& change);

  DriverConfig config_;
  MoveOrder order_;
  std::string socket_;
  Applied applied_;
  bool answers_ = true;  // the last request got an answer
  DeviceSpec last_;      // the last applied spec with later moves; guarded by order_
};

}  // namespace cw::tunnel
