// The gateway's process: everything it holds, in dependency order. Constructing starts, destroying
// stops; a stop leaves the kernel's state, and with it the traffic, in place.
#pragma once

#include <memory>
#include <optional>

#include "api/store/store.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/status_server.h"
#include "base/worker.h"
#include "gateway/config.h"
#include "gateway/daemon.h"
#include "netlink/kernel.h"
#include "tunnel/driver.h"

namespace cw::gateway {

class App {
 public:
  // kInvalid: the configuration cannot work here (store, key file, a taken port); others: this
  // machine cannot (no netlink, no WireGuard).
  [[nodiscard]] static Result<std::unique_ptr<App>> start(const StartConfig& config);
  // Until SIGTERM or SIGINT, then drains; a second one exits at once.
  void run();

 private:
  App() = default;

  EventLoop loop_;
  SystemRandom random_;
  Metrics metrics_;
  std::unique_ptr<api::Store> store_;
  std::unique_ptr<netlink::Kernel> kernel_;
  std::unique_ptr<netlink::Kernel> slow_kernel_;  // the worker's
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<tunnel::Driver> driver_;
  std::unique_ptr<Worker> tunnel_worker_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<StatusServer> status_;
};

// The `cleanup` command: removes everything the gateway made in the kernel.
[[nodiscard]] Result<> clean_up(const StartConfig& config);

}  // namespace cw::gateway
