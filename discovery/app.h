// The daemon's parts in the order of their dependencies. Constructing starts them, destroying stops
// them.
#pragma once

#include <memory>

#include "base/worker.h"
#include "daemon/process.h"
#include "discovery/config.h"
#include "discovery/coordinator.h"
#include "discovery/dns/metrics.h"
#include "discovery/dns/server.h"

namespace cw::discovery {

class App {
 public:
  // kInvalid: the configuration cannot work here (store, a taken port). `config` must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<App>> start(const Config& config);
  // Until SIGTERM or SIGINT, then releases the Lease; a second one exits at once.
  void run();

 private:
  App() = default;
  void refresh_metrics();

  Process process_;
  std::unique_ptr<dns::Server> server_;
  std::unique_ptr<Worker> disk_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<dns::ServerMetrics> dns_metrics_;
};

}  // namespace cw::discovery
