// What the process of every daemon holds besides the daemon's own parts, in the order of
// dependencies. The daemon's parts are destroyed before it. Loop thread only.
#pragma once

#include <functional>
#include <memory>

#include "api/store/store.h"
#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/status_server.h"
#include "daemon/config.h"

namespace cw {

struct Process {
  EventLoop loop;
  SystemRandom random;
  Metrics metrics;
  std::unique_ptr<api::Store> store;
  std::unique_ptr<StatusServer> status;

  // Opens the store and adds the metrics that every daemon has. kInvalid: it cannot be used.
  [[nodiscard]] Result<> open_store(const DaemonConfig& config);
  // Starts the status server, if the configuration has one. kInvalid: its port is taken.
  [[nodiscard]] Result<> serve_status(const DaemonConfig& config,
                                      StatusServer::Readiness readiness);
  // Until SIGTERM or SIGINT. Then `drain` must call its argument, which ends the loop. A second
  // signal ends the process at once, with exit code 1.
  void run(const std::function<void(std::function<void()> done)>& drain);
};

// `error` as one that an administrator must mend in the configuration: kInvalid.
[[nodiscard]] Error configuration_error(Error error, std::string_view where);

}  // namespace cw
