// The gateway's seams to the outside. Tests pass fakes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/store/store.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/worker.h"
#include "netlink/kernel.h"
#include "tunnel/driver.h"
#include "tunnel/probe/forwarding_prober.h"
#include "tunnel/probe/prober.h"

namespace cw::gateway {

struct Deps {
  Loop& loop;
  Random& random;
  api::Store& store;
  netlink::Kernel& kernel;
  tunnel::Driver& driver;
  Metrics& metrics;
  std::function<Result<std::unique_ptr<tunnel::Prober>>(tunnel::ProberConfig, tunnel::ProberHooks)>
      open_prober;
  std::function<Result<std::unique_ptr<tunnel::EchoServer>>(const Endpoint&, const std::string&)>
      open_echo = {};
  bool make_secrets = true;  // if missing; false: an installer makes them
  // Runs kernel passes, which may take long. That thread has a Kernel of its own.
  Background background = no_background();
  netlink::Kernel* slow_kernel = nullptr;  // none: `kernel`
  // Runs calls of `driver` that may wait. It is another thread than `background`'s, so that a
  // kernel pass never delays a move.
  Background tunnel_background = no_background();
  // Looks up DNS names, on a thread of its own: a name server may take seconds. None: no names.
  std::function<Result<std::vector<IpAddress>>(const std::string& name)> lookup = {};
  Background name_background = no_background();
};

}  // namespace cw::gateway
