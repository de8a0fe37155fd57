// The gateway's process: everything it holds, in dependency order. Constructing starts, destroying
// stops; a stop leaves the kernel's state, and with it the traffic, in place.
#pragma once

#include <memory>
#include <optional>

#include "base/worker.h"
#include "daemon/process.h"
#include "gateway/config.h"
#include "gateway/coordinator.h"
#include "netlink/kernel.h"
#include "tunnel/driver.h"

namespace cw::gateway {

class App {
 public:
  // kInvalid: the configuration cannot work here (store, key file, a taken port); others: this
  // machine cannot (no netlink, no WireGuard).
  [[nodiscard]] static Result<std::unique_ptr<App>> start(const Config& config);
  // Until SIGTERM or SIGINT, then drains; a second one exits at once.
  void run();

 private:
  App() = default;

  Process process_;
  std::unique_ptr<netlink::Kernel> kernel_;
  std::unique_ptr<netlink::Kernel> slow_kernel_;  // the worker's
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<tunnel::Driver> driver_;
  std::unique_ptr<Worker> tunnel_worker_;
  std::unique_ptr<Worker> name_worker_;
  std::unique_ptr<Coordinator> coordinator_;
};

// The `cleanup` command: removes everything the gateway made in the kernel.
[[nodiscard]] Result<> clean_up(const Config& config);

}  // namespace cw::gateway
