// Metrics that every daemon has: stalls of its loop, and dropped log lines. Also the limit of open
// files.
#pragma once

#include "base/event_loop.h"
#include "base/metrics.h"

namespace cw {

// `loop` and `metrics` must outlive all scrapes.
void add_process_metrics(EventLoop& loop, Metrics& metrics);

// Raises the soft limit of open files to the hard limit. Otherwise connections from outside could
// use up the descriptors that the store and the probes need. Call first in main.
void raise_open_files();

}  // namespace cw
