// The route agent's process: everything it holds, in dependency order. Constructing starts,
// destroying stops; a stop leaves the kernel's state, and with it the traffic, in place.
#pragma once

#include <memory>

#include "base/worker.h"
#include "daemon/process.h"
#include "netlink/kernel.h"
#include "routeagent/closed/ledger_file.h"
#include "routeagent/config.h"
#include "routeagent/coordinator.h"
#include "routeagent/reach_writer.h"

namespace cw::routeagent {

class App {
 public:
  // kInvalid: the configuration cannot work here (store, state folder, a taken port); others: this
  // machine cannot (no netlink).
  [[nodiscard]] static Result<std::unique_ptr<App>> start(const Config& config);
  // Until SIGTERM or SIGINT; a second one exits at once.
  void run();

 private:
  App() = default;

  Process process_;
  std::unique_ptr<netlink::Kernel> kernel_;
  std::unique_ptr<netlink::Kernel> slow_kernel_;  // the worker's
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Worker> file_worker_;  // a disk that stalls must not delay a pass
  std::unique_ptr<Worker> reach_worker_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<Worker> hop_worker_;  // ends before the coordinator, which has the driver
  std::unique_ptr<ReachWriter> reach_;
};

// The `cleanup` command: removes what the agent made in the kernel. `open`: also the guard of
// closed prefixes and its file; without it remote clusters' traffic stays off the wire.
[[nodiscard]] Result<> clean_up(const Config& config, bool open);
// The `close` command: puts up the guard that the file names, and nothing else.
[[nodiscard]] Result<> close_once(const Config& config);

}  // namespace cw::routeagent
