// The daemon: its parts in order of dependency. Constructing starts, destroying stops.
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
  // kInvalid and what a person must mend: exit code 2; kUnavailable store: the caller tries again.
  [[nodiscard]] static Result<std::unique_ptr<App>> start(EventLoop& loop,
                                                          const StartConfig& config);
  // Hands the Lease over, then calls back.
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
