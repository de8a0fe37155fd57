#include "base/process_metrics.h"

#include <sys/resource.h>

#include "base/log.h"

namespace cw {

void add_process_metrics(EventLoop& loop, Metrics& metrics) {
  auto& longest =
      metrics.gauge("causeway_loop_stall_seconds",
                    "The longest stall of the main loop in the last one to two minutes.");
  auto& total = metrics.gauge("causeway_loop_stalled_seconds_total",
                              "Total time of the main loop's stalls of 20 ms or more.");
  auto& lines = metrics.gauge("causeway_log_lines_dropped_total",
                              "Log lines that were dropped because their reader was too slow.");
  metrics.before_scrape([&loop, &longest, &total, &lines] {
    const auto stalls = loop.stalls();
    longest.set(std::chrono::duration<double>(stalls.longest).count());
    total.set(std::chrono::duration<double>(stalls.total).count());
    lines.set(static_cast<double>(log_lines_dropped()));
  });
}

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);  // raising up to the hard limit needs no rights
}

}  // namespace cw
