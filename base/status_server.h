// The one small HTTP endpoint of every daemon: /metrics (Prometheus text), /healthz (alive: 200),
// /readyz (200, or 503 with one line per reason why not). Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/metrics.h"
#include "base/prefix.h"

namespace cw {

class StatusServer {
 public:
  // The reasons why the daemon is not ready; empty: ready.
  using Readiness = std::function<std::vector<std::string>()>;
  // A taken port is kUnavailable and says so.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>> listen(EventLoop& loop,
                                                                    const Endpoint& at,
                                                                    Metrics& metrics,
                                                                    Readiness readiness);
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

 private:
  struct State;
  explicit StatusServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace cw
