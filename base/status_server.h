// The one small HTTP endpoint of every daemon: /metrics (Prometheus text), /healthz (alive: 200),
// /readyz (200, or 503 with one line per reason why not). A thread of its own holds the
// connections: however many strangers connect or ask, the loop renders each page a bounded number
// of times per second. Connections that the host makes to itself (the kubelet's probes) have a
// queue (status_listener.h) and places of their own, which no stranger takes. The loop thread makes
// and destroys it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/metrics.h"
#include "base/prefix.h"

namespace cw {

struct StatusLimits {
  std::size_t connections = 32;  // beyond it one makes room; a quarter is for the host's own
  Duration request = std::chrono::seconds(10);     // from accept to the end of the answer
  Duration loop = std::chrono::seconds(5);         // for the loop to render a page: then 503
  Duration pause = std::chrono::milliseconds(50);  // between two renderings of one page
  double accepts = 2000;                           // per second
};

class StatusServer {
 public:
  // The reasons why the daemon is not ready; empty: ready. Called on the loop thread.
  using Readiness = std::function<std::vector<std::string>()>;
  // A taken port is kUnavailable and says so.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> listen(
      Loop& loop, const Endpoint& at, Metrics& metrics, Readiness readiness,
      const StatusLimits& limits = {});
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;
  [[nodiscard]] std::uint16_t port() const;  // where it listens, if the configuration said 0

 private:
  struct State;
  explicit StatusServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cw
