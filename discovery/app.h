// The daemon's parts in the order of their dependencies. Constructing starts them, destroying stops
// them.
#pragma once

#include <memory>

#include "api/store/open.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/status_server.h"
#include "base/worker.h"
#include "discovery/config.h"
#include "discovery/controller.h"
#include "discovery/dns/metrics.h"
#include "discovery/dns/server.h"

namespace cw::discovery {

class App {
 public:
  // kInvalid: an administrator must fix the configuration or the host (exit code 2). Any other
  // error: the caller tries again later.
  [[nodiscard]] static Result<std::unique_ptr<App>> start(EventLoop& loop,
                                                          const StartConfig& config);
  // Releases the Lease, then calls `done`.
  void stop(std::function<void()> done) { controller_->release(std::move(done)); }

 private:
  App() = default;
  void refresh_metrics();

  SystemRandom random_;
  Metrics metrics_;
  std::unique_ptr<api::Store> store_;
  std::unique_ptr<dns::Server> server_;
  std::unique_ptr<Worker> disk_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<StatusServer> status_;
  std::unique_ptr<dns::ServerMetrics> dns_metrics_;
};

}  // namespace cw::discovery
