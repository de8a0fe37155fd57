// What the route agent gets from its process: the seams to the outside, its configuration and its
// key.
#pragma once

#include "api/store/store.h"
#include "routeagent/closed/closed.h"
#include "routeagent/config.h"
#include "routeagent/forwarding_probes.h"
#include "routeagent/hop_device.h"
#include "tunnel/probe/prober.h"

namespace cw::routeagent {

// Opens a Prober. The process provides its sockets.
using OpenProber = std::function<Result<std::unique_ptr<tunnel::Prober>>(tunnel::ProberConfig,
                                                                         tunnel::ProberHooks)>;

struct Deps {
  Loop& loop;
  Random& random;
  api::Store& store;
  netlink::Kernel& kernel;
  Metrics& metrics;
  Config config;
  tunnel::Key node_key;  // private; gateways know the node by its public key
  LedgerFile closed;
  OpenProber open_prober;
  ForwardingProbes::Open open_forwarding = {};
  // The thread for passes over the kernel, which may take long. Only that thread uses
  // `slow_kernel`.
  Background background = no_background();
  netlink::Kernel* slow_kernel = nullptr;  // none: `kernel`
  ForwardMemory forwarding = {};
  HopDevice::Open open_hop = {};
  Background hop_background = no_background();  // calls of the driver that `open_hop` opens

  [[nodiscard]] netlink::Kernel& slow() const { return slow_kernel ? *slow_kernel : kernel; }
};

}  // namespace cw::routeagent
