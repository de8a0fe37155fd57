// The HTTP endpoint of every daemon: /metrics (Prometheus text), /healthz (200: alive), /readyz
// (200, or 503 with one line per reason). Its own thread holds the connections. However many
// requests arrive, the loop renders each page a bounded number of times per second. Connections
// that the host makes to itself (the kubelet's probes) have their own queue (status_listener.h) and
// reserved places. Created and destroyed on the loop thread.
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
  std::size_t connections = 32;  // a further one replaces one; a quarter is for the host's own
  Duration request = std::chrono::seconds(10);  // from accept to the end of the answer
  Duration loop = std::chrono::seconds(5);  // for the loop to render a page; then the answer is 503
  Duration pause = std::chrono::milliseconds(50);  // between two renderings of a page
  double accepts = 2000;                           // per second
};

class StatusServer {
 public:
  // Returns the reasons why the daemon is not ready. Empty: it is ready. Called on the loop thread.
  using Readiness = std::function<std::vector<std::string>()>;
  // kUnavailable: another process listens on the port.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> listen(
      Loop& loop, const Endpoint& at, Metrics& metrics, Readiness readiness,
      const StatusLimits& limits = {});
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;
  [[nodiscard]] std::uint16_t port() const;  // the actual port, if the configuration said 0

 private:
  struct State;
  explicit StatusServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cw
